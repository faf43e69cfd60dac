"""The router beside the proxies that can mirror, and beside a plain httpx one."""
