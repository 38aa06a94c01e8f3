// Accessors of one tensor that are open at the same time: `which` says which. `x` and the output are f32[6].
#include <torch/torch.h>

static int number(const torch::Tensor& which) { return which.accessor<int32_t, 1>()[0]; }

static torch::TensorReadStreamAccessor<float> opened(const torch::Tensor& x) { return x.read_stream_accessor<float>(); }

torch::Tensor together(const torch::Tensor& x, const torch::Tensor& which) {
  torch::Tensor own = torch::zeros({2, 3}, torch::kFloat);
  switch (number(which)) {
    case 0: {
      auto writer = own.write_stream_accessor<float>();
      auto reader = own.read_stream_accessor<float>();
      break;
    }
    case 1: {
      auto reader = own.read_stream_accessor<float>();
      auto writer = own.write_stream_accessor<float>();
      break;
    }
    case 2: {
      auto writer = own.write_stream_accessor<float>();
      auto another = own.write_stream_accessor<float>();
      break;
    }
    case 3: {
      auto reader = x.read_stream_accessor<float>();
      auto elements = x.accessor<float, 1>();
      break;
    }
    case 4: {  // the row of an accessor that is gone
      auto row = own.accessor<float, 2>()[1];
      auto reader = own.read_stream_accessor<float>();
      break;
    }
    case 5: {
      auto elements = own.accessor<float, 2>();
      auto writer = own.write_stream_accessor<float>();
      break;
    }
    case 6: {  // another handle of the same tensor
      torch::Tensor other = own;
      auto writer = own.write_stream_accessor<float>();
      other.accessor<float, 2>();
      break;
    }
    case 7: {
      torch::Tensor out = get_dst_tensor(), again = get_dst_tensor();
      auto writer = out.write_stream_accessor<float>();
      auto elements = again.accessor<float, 1>();
      break;
    }
    case 8: {
      auto writer = own.write_stream_accessor<float>();
      torch::exp(own);
      break;
    }
    case 9: {
      auto reader = own.read_stream_accessor<float>();
      own.fill_(1);
      break;
    }
    default:
      break;
  }
  return own;
}

// x, x + x, what was written and read, ...: the sums of elements that were reached through several accessors.
torch::Tensor one_after_the_other(const torch::Tensor& x) {
  torch::Tensor out = torch::zeros({6}, torch::kFloat), own = torch::zeros({6}, torch::kFloat);
  auto sums = out.accessor<float, 1>();
  {  // readers go together
    auto a = x.read_stream_accessor<float>(), b = opened(x), c = opened(x);
    for (int i = 0; i < 6; i++) sums[0] += a.read() + 10 * b.read() + 100 * c.read();
  }
  {  // so do element accessors
    auto a = x.accessor<float, 1>(), b = x.accessor<float, 1>();
    for (int i = 0; i < 6; i++) sums[1] += a[i] + b[i];
  }
  {  // a stream that is closed is no more
    auto writer = own.write_stream_accessor<float>();
    for (int i = 0; i < 6; i++) writer.write(i);
    writer.close();
    auto reader = own.read_stream_accessor<float>();
    for (int i = 0; i < 6; i++) sums[2] += reader.read();
  }
  {  // TCM accessors are not tracked
    auto reader = x.read_stream_accessor<float>();
    float* tcm = (float*)torch::neuron::tcm_malloc(6 * sizeof(float));
    x.tcm_accessor().tensor_to_tcm<float>(tcm, 0, 6);
    for (int i = 0; i < 6; i++) sums[3] += tcm[i] - reader.read();
    torch::neuron::tcm_free(tcm);
  }
  {  // allowed, as the op knows what it does: what is read is behind what is written
    TORCH_CHECK(own.get_accessor_coherence_policy() == torch::CoherencyEnforcer::Policy::COHERENT);
    own.set_accessor_coherence_policy(torch::CoherencyEnforcer::Policy::INCOHERENT_QUIET);
    auto reader = own.read_stream_accessor<float>();
    auto writer = own.write_stream_accessor<float>();
    for (int i = 0; i < 6; i++) {
      const float value = reader.read();
      sums[4] += value;
      writer.write(2 * value);
    }
  }
  own.set_accessor_coherence_policy(torch::CoherencyEnforcer::INCOHERENT_VERBOSE);
  {
    auto reader = own.read_stream_accessor<float>();
    auto elements = own.accessor<float, 1>();
    for (int i = 0; i < 6; i++) sums[5] += elements[i];
  }
  return out;
}
