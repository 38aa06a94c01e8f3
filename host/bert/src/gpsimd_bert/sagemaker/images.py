"""Which container a job runs in: the one table of image versions and of the accounts that hold them."""

# AWS Deep Learning Containers, "Available images", PyTorch Training NeuronX, with PyTorch 2.9, which `gpsimd_torch`
# needs. Neuron supports training through PyTorch/XLA up to 2.29; images of 2.32 and later hold no PyTorch/XLA and do
# not run on Trn1. The list has an image for training of 2.28.
TRAINING = "pytorch-training-neuronx:2.9.0-neuronx-py312-sdk2.28.0-ubuntu24.04"

# The newest that `sagemaker.image_uris.retrieve("pytorch", ..., image_scope="inference")` of the SDK 2.257.7 knows
# for CPUs. Plain PyTorch: the trained model does not know what it was trained on.
INFERENCE = "pytorch-inference:2.6.0-cpu-py312"

# Regions that were opened later have their own registry; the table of the SDK 2.257.7
# (image_uri_config/pytorch.json). All others use the first.
ACCOUNT = "763104351884"
ACCOUNTS = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}


def uri(image: str, region: str) -> str:
    """The address of `image`, e.g. `TRAINING`, in `region`."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{ACCOUNTS.get(region, ACCOUNT)}.dkr.ecr.{region}.{domain}/{image}"
