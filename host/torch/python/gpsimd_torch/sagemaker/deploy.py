"""`deploy`: a real-time endpoint on a CPU."""

import argparse
import json
import time
from typing import Any

from . import serving
from .aws import Aws
from .errors import CommandError, calling
from .follow import Display, poll
from .options import add_connection, add_role_and_bucket, add_tags, check_name, console, pairs

DESCRIPTION = """\
Serve a trained model from a real-time endpoint on a CPU instance: packs the model with the request handlers
(gpsimd_torch.serve.handlers), uploads it, and makes a model, an endpoint configuration and an endpoint with AWS's stock
PyTorch container. The model needs neither Neuron nor the Rust ops.
"""

EPILOG = """\
examples:
  python -m gpsimd_torch.sagemaker deploy checkpoint/ --dry-run --region us-east-1 --role SageMakerRole
      prints the three requests; asks AWS nothing
  python -m gpsimd_torch.sagemaker deploy gpsimd-bert-1 --role SageMakerRole --name reviews
      the model of a training job
  aws sagemaker-runtime invoke-endpoint --endpoint-name reviews --content-type application/json \\
          --cli-binary-format raw-in-base64-out --body '{"texts": ["works well"]}' /dev/stdout
  aws sagemaker delete-endpoint --endpoint-name reviews
  aws sagemaker delete-endpoint-config --endpoint-config-name reviews
  aws sagemaker delete-model --model-name reviews
      the undo. An endpoint costs money until it is deleted

Ctrl-C while the endpoint starts leaves it starting. If a step fails, what was made before is deleted again.
Exit status: 0 done, 1 AWS refused or the endpoint failed, 2 wrong arguments, 130 Ctrl-C.
This has been tested against a local double of AWS, not yet against the real one.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "deploy",
        help="a real-time endpoint on a CPU",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serving.add_arguments(parser)
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="name of model, configuration and endpoint (default: gpsimd-endpoint-TIME)",
    )
    add_role_and_bucket(parser)
    add_tags(parser)
    parser.add_argument("--no-wait", action="store_true", help="start the endpoint and return")
    parser.add_argument("--dry-run", action="store_true", help="print uploads and requests as JSON; ask AWS nothing")
    parser.add_argument("--json", action="store_true", help="print the endpoint as JSON")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Makes the endpoint and waits until it answers."""
    name = check_name(options.name or time.strftime("gpsimd-endpoint-%Y%m%d-%H%M%S"))
    tags = {"project": "gpsimd"} | pairs("--tag", options.tag)
    pairs("--env", options.env)
    serving.find_model(options.model, "")
    aws = Aws(options.region, options.profile, dry_run=options.dry_run)
    role, bucket = aws.role(options.role), aws.bucket(options.bucket)
    model = serving.find_model(options.model, f"s3://{bucket}/gpsimd/{name}/model.tar.gz")
    requests = [
        (
            "create_model",
            serving.create_model_request(aws, name, options, role, model.archive, tags),
            ("delete_model", {"ModelName": name}),
        ),
        (
            "create_endpoint_config",
            {
                "EndpointConfigName": name,
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": name,
                        "InitialInstanceCount": options.instances,
                        "InstanceType": options.instance,
                        "InitialVariantWeight": 1.0,
                    }
                ],
                "Tags": serving.tag_list(tags),
            },
            ("delete_endpoint_config", {"EndpointConfigName": name}),
        ),
        (
            "create_endpoint",
            {"EndpointName": name, "EndpointConfigName": name, "Tags": serving.tag_list(tags)},
            ("delete_endpoint", {"EndpointName": name}),
        ),
    ]
    if options.dry_run:
        calls = [{"call": call, "parameters": parameters} for call, parameters, _ in requests]
        print(json.dumps({"region": aws.region, "uploads": [model.plan()], "requests": calls}, indent=2))
        return 0

    model.publish(aws)
    made: list[tuple[str, dict[str, str]]] = []
    try:
        for call, parameters, undo in requests:
            with calling(f"making the {call.removeprefix('create_').replace('_', ' ')} {name}"):
                getattr(aws.client("sagemaker"), call)(**parameters)
            made.append(undo)
    except BaseException:
        serving.undo(aws, made[::-1])
        raise
    delete = f"delete it: aws sagemaker delete-endpoint --endpoint-name {name} --region {aws.region}"
    found: dict[str, Any] = {"EndpointStatus": "Creating"}
    if not options.no_wait:
        try:
            found = wait(aws, name, options.poll)
        except KeyboardInterrupt:
            console(
                f"\nthe endpoint {name} goes on starting\n"
                f"  look at it: aws sagemaker describe-endpoint --endpoint-name {name} --region {aws.region}\n"
                f"  {delete}"
            )
            raise
        if found["EndpointStatus"] != "InService":
            serving.undo(aws, made[::-1])
            reason = found.get("FailureReason") or "AWS names no reason; see the log group /aws/sagemaker/Endpoints"
            raise CommandError(f"the endpoint {name} did not start: {reason}; it was deleted again")
    if options.json:
        print(json.dumps({"endpoint": name, "status": found["EndpointStatus"], "model_data": model.archive}, indent=2))
    else:
        print(f"endpoint {name}: {found['EndpointStatus']}")
    console(f"it costs money until you {delete}")
    return 0


def wait(aws: Aws, name: str, poll_s: float) -> dict[str, Any]:
    """Shows the endpoint until it is in service or has failed."""
    started, found = time.monotonic(), {}

    def look() -> tuple[str, str] | None:
        with calling(f"looking at the endpoint {name}"):
            found.update(aws.client("sagemaker").describe_endpoint(EndpointName=name))
        if found["EndpointStatus"] not in ("Creating", "Updating", "SystemUpdating"):
            return None
        return f"{name}: {found['EndpointStatus']}", f"{time.monotonic() - started:.0f} s"

    with Display() as display:
        poll(display, look, poll_s)
    return found
