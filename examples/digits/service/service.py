"""A classifier of handwritten digits; $MODEL says which."""

import os

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

MODELS = {
    "logistic regression": LogisticRegression(max_iter=5000),
    "decision tree": DecisionTreeClassifier(random_state=0),
    "support vectors": SVC(),
}

digits = load_digits()
images, _, labels, _ = train_test_split(digits.data, digits.target, random_state=0)
model = MODELS[os.environ["MODEL"]].fit(images, labels)
app = FastAPI()


class Image(BaseModel):
    """Sixty-four grey values, 0 to 16, row by row."""

    pixels: list[float]


@app.get("/")
def ready() -> str:
    """Answer as soon as the model is trained."""
    return "ready"


@app.post("/predict")
def predict(image: Image) -> dict[str, str]:
    """Return the digit: as text, for it is a label and no quantity."""
    return {"digit": str(model.predict([image.pixels])[0])}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        access_log=False,
    )
