"""The strict fake as a process of its own: prints its URL, and serves until SIGINT or SIGTERM."""

import argparse
import json
import signal

from tests.strict.server import StrictAws


def main() -> None:
    """Parse, serve, wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.strict", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--endpoint", help="of an S3 and SQS where transcripts and events go")
    parser.add_argument("--queue", help="URL of the SQS queue that gets the events")
    parser.add_argument("--script", type=json.loads, default={}, help='as POST /_strict/script: {"quotas": {...}}')
    options = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with StrictAws(port=options.port, endpoint=options.endpoint, queue=options.queue) as aws:
        aws.control(options.script)
        print(aws.url, flush=True)
        signal.sigwait(signals)


main()
