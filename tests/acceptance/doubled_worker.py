"""`media-worker` with a double of the models of this machine; all else of it is as shipped."""

from service import app, cli
from tests.acceptance import doubled_models

if __name__ == "__main__":
    vars(app)["models"] = doubled_models  # whose name says which module the models' children load
    cli.main()
