"""Make a live call's model speak, from outside: the operators' API with httpx.

Run it:

    python examples/operator_trigger.py http://127.0.0.1:8080 TOKEN "Tell the caller that we close at six."
"""

import sys
import time
import uuid

import httpx


def main(base_url: str, token: str, instructions: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=10) as client:
        calls = client.get("/v1/calls").raise_for_status().json()["calls"]
        live = [call for call in calls if not call["outcome"]]
        if not live:
            sys.exit("no live call")
        path = f"/v1/calls/{live[0]['id']}/responses"
        body = {"instructions": instructions, "metadata": {"desk": "example"}}
        once = {"Idempotency-Key": str(uuid.uuid4())}
        request_id = client.post(path, json=body, headers=once).raise_for_status().json()["request_id"]
        while (state := client.get(f"{path}/{request_id}").raise_for_status().json())["outcome"] is None:
            print("…", state["state"], state["reason"])
            time.sleep(0.5)
        print(state["outcome"]["kind"], "- heard:", state["outcome"].get("heard_text", ""))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
