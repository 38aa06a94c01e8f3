"""`deploy`: a real-time endpoint on a CPU."""

import argparse
import json
import time
from typing import Any

from . import serving
from .aws import Aws
from .errors import CommandError, is_taken
from .resource import Resource, check_free, create, goes_on, print_plan, tell, undo, wait

DESCRIPTION = """\
Serve a trained model from a real-time endpoint on a CPU instance: packs the model with the request handlers
(gpsimd_bert.serve.handlers), uploads it, and makes a model, an endpoint configuration and an endpoint with AWS's stock
PyTorch container. The model needs neither Neuron nor the Rust ops.
"""

EPILOG = """\
examples:
  python -m gpsimd_bert.sagemaker deploy checkpoint/ --dry-run --region us-east-1 --role SageMakerRole
      prints the three requests; asks AWS nothing
  python -m gpsimd_bert.sagemaker deploy gpsimd-bert-1 --role SageMakerRole --name reviews
      the model of a training job
  aws sagemaker-runtime invoke-endpoint --endpoint-name reviews --content-type application/json \\
          --cli-binary-format raw-in-base64-out --body '{"texts": ["works well"]}' /dev/stdout
  aws sagemaker delete-endpoint --endpoint-name reviews
  aws sagemaker delete-endpoint-config --endpoint-config-name reviews
  aws sagemaker delete-model --model-name reviews
      the undo. An endpoint costs money until it is deleted

Ctrl-C while the endpoint starts leaves it starting. If a step fails, what was made is deleted again; what cannot be
is named, with the commands that delete it.
Exit status: 0 done, 1 AWS refused or the endpoint failed, 2 wrong arguments, 130 Ctrl-C.
Tested against a mock of AWS, not against the service.
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
    serving.add_arguments(parser, "endpoint")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Makes the endpoint and waits until it answers."""
    name = options.name or time.strftime("gpsimd-endpoint-%Y%m%d-%H%M%S")
    model = serving.find_model(options.model)
    aws = Aws(options.region, options.profile, dry_run=options.dry_run)
    role, bucket = aws.role(options.role), aws.bucket(options.bucket)
    archive, endpoint = f"s3://{bucket}/gpsimd/{name}/model.tar.gz", Resource("endpoint", name)
    requests = [
        (Resource("model", name), serving.model_request(aws, options, role, archive)),
        (Resource("endpoint_config", name), config_request(name, options)),
        (endpoint, {"EndpointConfigName": name, "Tags": serving.tags(options)}),
    ]
    if options.dry_run:
        for resource, parameters in requests:
            resource.call(aws, "create", **parameters)
        print_plan(aws, [model.plan(archive)])
        return 0

    check_free(aws, *(resource for resource, _ in requests))
    model.publish(aws, archive)
    made: list[Resource] = []
    try:
        for resource, parameters in requests:
            # Before it is made: a Ctrl-C or a lost answer may come when AWS has begun.
            made.append(resource)
            create(aws, resource, parameters)
    except BaseException as error:
        if is_taken(error):
            made.pop()
        undo(aws, made)
        raise
    delete = [("delete it", resource.command(aws, "delete")) for resource in reversed(made)]
    status = "Creating"
    if not options.no_wait:
        with goes_on(f"the endpoint {name} goes on starting", [("look", endpoint.command(aws, "describe")), *delete]):
            found = wait(aws, endpoint, "EndpointStatus", ("Creating", "Updating", "SystemUpdating"), options.poll)
        status = found["EndpointStatus"]
        if status != "InService":
            reason = found.get("FailureReason") or "AWS names no reason; see the log group /aws/sagemaker/Endpoints"
            gone = undo(aws, made)
            raise CommandError(
                f"the endpoint {name} did not start: {reason}; "
                + ("it was deleted again" if gone else "it is still there, delete it with the commands above")
            )
    if options.json:
        print(json.dumps({"endpoint": name, "status": status, "model_data": archive}, indent=2))
    else:
        print(f"endpoint {name}: {status}")
    tell("it costs money until you delete it", delete)
    return 0


def config_request(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """How SageMaker is to serve the model."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": options.instances,
        "InstanceType": options.instance,
        "InitialVariantWeight": 1.0,
    }
    return {"ProductionVariants": [variant], "Tags": serving.tags(options)}
