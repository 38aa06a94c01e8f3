"""BERT training on SageMaker: `python -m gpsimd_bert.sagemaker launch | status | compare | deploy | transform`.

`launch` starts the trainer (`gpsimd_bert.train`) as a training job on Trn1 and follows it, `compare` shows what jobs
cost, `deploy` and `transform` serve the trained model from a CPU. Needs the extra `sagemaker`. Written from AWS's
public SDKs and documentation and tested against a mock of the service, not against the real one.
"""
