"""A classifier of handwritten digits; $MODEL says which."""

import logging
import os
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header
from pydantic import BaseModel
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

MODELS = {
    "logistic": LogisticRegression(max_iter=5000),
    "forest": RandomForestClassifier(n_estimators=20, random_state=0),
}

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("digits")
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
def predict(image: Image, x_image: Annotated[str, Header()]) -> dict[str, int]:
    """Return the digit; also write it to the log, under the client's number."""
    digit = int(model.predict([image.pixels])[0])
    log.info("image %s digit %s", x_image, digit)
    return {"digit": digit}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        access_log=False,
    )
