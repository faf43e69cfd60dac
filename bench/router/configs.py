"""
The peers' configuration files.

Each proxy tells upstreams about the client, as ours does: nginx by the fields
below, Envoy with ``use_remote_address``, Traefik always. None logs requests.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Services = Mapping[str, Sequence[str]]

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header X-Forwarded-Proto $scheme;
  {upstreams}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    {locations}
  }}
}}
"""
NGINX_UPSTREAM = (
    "upstream {name} {{ server {address}; keepalive 256; "
    "keepalive_requests 1000000000; keepalive_timeout 1h; }}\n"
)


def nginx(services: Services, port: int, folder: Path) -> str:
    """Return a configuration with a location for each service."""
    upstreams, locations = "", ""
    for name, (main, *shadows) in services.items():
        upstreams += NGINX_UPSTREAM.format(name=f"{name}_main", address=main)
        # Reading a body first costs a little; what has none need not.
        body = f"mirror_request_body {'on' if name == 'post' else 'off'};"
        inner = ""
        for number, address in enumerate(shadows):
            shadow = f"{name}_{number}"
            upstreams += NGINX_UPSTREAM.format(name=shadow, address=address)
            body += f" mirror /mirror_{shadow};"
            inner += (
                f"location = /mirror_{shadow} {{ internal; "
                f"proxy_pass http://{shadow}$request_uri; }}\n"
            )
        passed = f"proxy_pass http://{name}_main;"
        locations += f"location /{name}/ {{ {body} {passed} }}\n{inner}"
    return NGINX.format(
        folder=folder, port=port, upstreams=upstreams, locations=locations
    )


def envoy(services: Services, port: int) -> dict[str, Any]:
    """Return a bootstrap with a route for each service."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    routes, clusters = [], []
    for name, addresses in services.items():
        names = [f"{name}_{number}" for number in range(len(addresses))]
        clusters += [_cluster(*pair) for pair in zip(names, addresses, strict=True)]
        mirrors = [{"cluster": shadow} for shadow in names[1:]]
        action = {"cluster": names[0], "request_mirror_policies": mirrors}
        routes.append({"match": {"prefix": f"/{name}/"}, "route": action})
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{kind}.http.router.v3.Router"},
    }
    connections = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "HTTP1",
        "use_remote_address": True,
        "http_filters": [router],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]
        },
    }
    listened = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": connections,
    }
    listener = {
        "address": _socket("127.0.0.1", port),
        "filter_chains": [{"filters": [listened]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, address: str) -> dict[str, Any]:
    host, _, port = address.partition(":")
    endpoint = {"endpoint": {"address": _socket(host, int(port))}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def traefik(services: Services) -> dict[str, Any]:
    """Return a file provider's content with a mirroring service for each."""
    routers: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for name, addresses in services.items():
        names = [f"{name}-{number}" for number in range(len(addresses))]
        for version, address in zip(names, addresses, strict=True):
            servers = [{"url": f"http://{address}"}]
            known[version] = {"loadBalancer": {"servers": servers}}
        routers[name] = {"rule": f"PathPrefix(`/{name}/`)", "service": names[0]}
        if names[1:]:
            mirrors = [{"name": shadow, "percent": 100} for shadow in names[1:]]
            mirroring = {"service": names[0], "mirrors": mirrors}
            known[name] = {"mirroring": mirroring}
            routers[name]["service"] = name
    return {"http": {"routers": routers, "services": known}}


def traefik_static(port: int, dynamic: Path) -> dict[str, Any]:
    """Return the configuration that Traefik is started with."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"filename": str(dynamic), "watch": False}},
        "log": {"level": "FATAL"},
    }
