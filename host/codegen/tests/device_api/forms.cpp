// Spellings of ATen and forms of code that ops in the wild have.
#include <algorithm>
#include <stdint.h>
#include <stdlib.h>
#include <vector>

#include <torch/torch.h>
#include <neuron/neuron-utils.hpp>

typedef at::BFloat16 bf16;
typedef at::Half fp16;

// Nothing but names of `at` and `c10`.
at::Tensor spellings(const at::Tensor& x) {
  at::Tensor ints = at::full({2, 3}, 6, c10::TensorOptions().dtype(at::kInt));
  at::Tensor result = at::empty(ints.sizes(), ints.options());
  at::bitwise_not(result, ints);
  at::Tensor floats = at::zeros({4}, at::TensorOptions(at::kFloat)).fill_(2.75);
  auto from = result.accessor<int32_t, 2>();
  const c10::Scalar scalar(2.75);
  at::Tensor out = at::zeros({8}, x.options().dtype(torch::kFloat32));
  auto to = out.accessor<float, 1>();
  to[0] = from[1][2];
  to[1] = scalar.to<int64_t>();
  to[2] = scalar.to<bf16>();
  to[3] = floats.accessor<float, 1>()[3];
  to[4] = from.stride(0) + 10 * from.size(1) + 100 * from.sizes().size() + 1000 * from[0].stride(0);
  to[5] = result.stride(-2) + result.nbytes();
  to[6] = torch::kFloat32 == at::kFloat && torch::kInt32 == torch::kInt && at::kHalf == c10::kHalf && torch::kUInt8 == at::kByte;
  to[7] = ints.is_contiguous() && ints.dtype() == torch::kInt32 && x.options().dtype() == x.scalar_type();
  return out;
}

// A recurrence over time of per-head states, element by element, in the output that is both result and state.
torch::Tensor recurrence(const torch::Tensor& state, const torch::Tensor& x, const torch::Tensor& decay) {
  auto ss = state.accessor<float, 2>();
  auto xx = x.accessor<float, 3>();
  auto dd = decay.accessor<float, 1>();
  int64_t B = x.size(0), T = x.size(1), H = x.size(2);
  auto y = torch::zeros({B, T + 1, H}, torch::kFloat);
  auto out = y.accessor<float, 3>();
  printf("recurrence of %d steps\n", int(T));
  for (int64_t b = 0; b < B; b++) {
    for (int64_t h = 0; h < H; h++) out[b][0][h] = ss[b][h];
    for (int64_t t = 0; t < T; t++) {
      for (int64_t h = 0; h < H; h++) {
        auto before = out[b][t][h];
        auto next = before * dd[h] + xx[b][t][h];
        out[b][t + 1][h] = next;
      }
    }
  }
  return y;
}

// The running maximum: the standard library, and TCM that is freed whether there was some or not.
torch::Tensor running_maximum(const torch::Tensor& x) {
  size_t count = x.sizes()[0];
  torch::Tensor out = torch::zeros({count}, torch::kFloat);
  std::vector<float> values(count);
  float* buffer = (float*)torch::neuron::tcm_malloc(1 << 20);
  if (buffer == nullptr) {
    auto stream = x.read_stream_accessor<float>();
    for (auto& value : values) value = stream.read();
  }
  torch::neuron::tcm_free(buffer);
  auto result = out.write_stream_accessor<float>();
  float largest = values.empty() ? 0 : values[0];
  for (float value : values) result.write(largest = std::max(largest, value));
  return out;
}

// x + 2 x + ... + 6 x: six streams of input, one of output, where TCM holds four.
torch::Tensor many_streams(const torch::Tensor& x) {
  torch::Tensor out = torch::empty(x.sizes(), torch::kFloat);
  auto a = x.read_stream_accessor<float>(), b = x.read_stream_accessor<float>(), c = x.read_stream_accessor<float>(),
       d = x.read_stream_accessor<float>(), e = x.read_stream_accessor<float>(), f = x.read_stream_accessor<float>();
  auto sum = out.write_stream_accessor<float>();
  for (int64_t i = 0; i < x.numel(); i++) {
    sum.write(a.read() + 2 * b.read() + 3 * c.read() + 4 * d.read() + 5 * e.read() + 6 * f.read());
  }
  sum.close();
  return out;
}

// A stream where a buffer of the op's takes all of TCM, and keeps what it holds.
torch::Tensor full_tcm(const torch::Tensor& x) {
  torch::Tensor out = get_dst_tensor();
  int32_t* all = (int32_t*)torch::neuron::tcm_malloc(16384);
  for (int i = 0; i < 4096; i++) all[i] = i;
  {
    auto from = x.read_stream_accessor<float>();
    auto to = out.write_stream_accessor<float>();
    for (int64_t i = 0; i < x.numel(); i++) to.write(-from.read());
  }
  for (int i = 0; i < 4096; i++) TORCH_CHECK(all[i] == i, "TCM was overwritten at ", i);
  torch::neuron::tcm_free(all);
  return out;
}

// The number of cores, and this one's, in any mode.
torch::Tensor cores(const torch::Tensor& x) {
  torch::Tensor out = torch::zeros({2}, torch::kFloat);
  out.accessor<float, 1>()[0] = get_cpu_count();
  out.accessor<float, 1>()[1] = get_cpu_id();
  return out;
}
