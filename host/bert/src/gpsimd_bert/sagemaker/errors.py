"""What can go wrong, as one message that says what was expected, what was found and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """Ends the command with a message and exit status 1: AWS refused something, or a job failed."""

    status = 1


class UsageError(CommandError):
    """Ends the command with exit status 2: arguments or files that the person who typed them can put right."""

    status = 2


# Codes of botocore's ClientError, and what to do about each.
_ADVICE = {
    "AccessDenied": "the credentials lack this permission: ask for it, or name others with --profile",
    "AccessDeniedException": "the credentials lack this permission: ask for it, or name others with --profile",
    "ResourceLimitExceeded": (
        "the account's quota for this instance type is used up (that of Trn1 is 0 in new accounts): ask for more in "
        "the AWS console under Service Quotas > Amazon SageMaker, or name another --instance"
    ),
    "ThrottlingException": "AWS asks to slow down, and retries did not help: try again in a minute",
    "Throttling": "AWS asks to slow down, and retries did not help: try again in a minute",
    "SlowDown": "AWS asks to slow down, and retries did not help: try again in a minute",
    "ResourceInUse": "choose another name with --name",
    "ResourceNotFound": "check the name and --region",
    "NoSuchBucket": "check the name of the bucket and --region",
    "NoSuchEntity": "no such role: check the name, or give its ARN with --role",
    "ExpiredToken": "the credentials have expired: sign in again",
    "ExpiredTokenException": "the credentials have expired: sign in again",
    "InvalidClientTokenId": "AWS does not know these credentials: sign in again, or name others with --profile",
    "UnrecognizedClientException": "AWS does not know these credentials: sign in again, or name others with --profile",
    "404": "it does not exist: check the name and --region",
    "403": "the credentials lack this permission: ask for it, or name others with --profile",
}

# Failures that pass by themselves: a command that only follows a job goes on.
TRANSIENT = {"ThrottlingException", "Throttling", "SlowDown", "ServiceUnavailable", "InternalFailure", "500", "503"}


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turns an exception of boto3 into a `CommandError`; `what` was being done, e.g. `uploading the source`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except ClientError as error:
        raise _of_service(what, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CommandError(
            f"{what}: no AWS credentials were found; run `aws configure` or `aws sso login`, or set AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except Boto3Error as error:
        # boto3's transfers wrap the error of the service.
        inner = error.__cause__ or error.__context__
        if isinstance(inner, ClientError):
            raise _of_service(what, inner) from error
        raise CommandError(f"{what}: {error}") from error
    except EndpointConnectionError as error:
        raise CommandError(f"{what}: {error}; check --region and the network") from error
    except BotoCoreError as error:
        raise CommandError(f"{what}: {error}") from error


def code_of(error: BaseException) -> str:
    """The code of the service's error that `error` is or came from; empty if there was none."""
    from botocore.exceptions import ClientError

    for candidate in (error, error.__cause__, error.__context__):
        if isinstance(candidate, ClientError):
            return candidate.response.get("Error", {}).get("Code", "")
    return ""


def is_missing(error: BaseException) -> bool:
    """Whether AWS has said that there is no such thing. SageMaker has a code for it in some calls only."""
    code, text = code_of(error), str(error).lower()
    found = code == "ValidationException" and ("could not find" in text or "not found" in text)
    return found or code == "ResourceNotFound"


def is_taken(error: BaseException) -> bool:
    """Whether AWS has said that there is such a thing already."""
    code = code_of(error)
    return code == "ResourceInUse" or (code == "ValidationException" and "already exist" in str(error).lower())


def is_unanswered(error: BaseException) -> bool:
    """Whether AWS may have done what it was asked, and nobody has heard of it."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    lost = isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, NoConnection | HTTPClientError)
    return lost or code_of(error) in {"InternalFailure", "500"}


def is_transient(error: BaseException) -> bool:
    """Whether the same call may well succeed in a minute."""
    return code_of(error) in TRANSIENT or is_unanswered(error)


def _of_service(what: str, error) -> CommandError:
    details = error.response.get("Error", {})
    code, message = details.get("Code", "unknown"), details.get("Message", "").strip() or "no reason given"
    text = f"{what}: AWS answered {code} to {error.operation_name}: {message}"
    advice = _ADVICE.get(code)
    if code == "ValidationException":
        # SageMaker has no code of its own for these two.
        if "role" in message.lower() and "assume" in message.lower():
            advice = "the role must trust sagemaker.amazonaws.com: name another with --role"
        elif "could not find" in message.lower() or "not found" in message.lower():
            advice = "check the name and --region"
    return CommandError(f"{text}; {advice}" if advice else text)
