// Everything that an op can do wrong: `which` says what. `x` and the output are f32[80].
#include <torch/torch.h>
#include <neuron/neuron-utils.hpp>

static int number(const torch::Tensor& which) {
  int32_t* tcm = (int32_t*)torch::neuron::tcm_malloc(sizeof(int32_t));
  which.tcm_accessor().tensor_to_tcm<int32_t>(tcm, 0, 1);
  int32_t number = *tcm;
  torch::neuron::tcm_free(tcm);
  return number;
}

static float* buffer(size_t len) { return (float*)torch::neuron::tcm_malloc(len * sizeof(float)); }

torch::Tensor misuse_one_core(const torch::Tensor& x, const torch::Tensor& which) {
  torch::Tensor own = torch::zeros(x.sizes(), torch::kFloat);
  torch::Tensor ints = torch::zeros(x.sizes(), torch::kInt);
  auto load = x.tcm_accessor();
  switch (number(which)) {
    case 0: {  // an exhausted pool is null, and null is not to be used
      float* tcm = buffer(5000);
      load.tensor_to_tcm<float>(tcm, 0, 80);
      break;
    }
    case 1:
      load.tensor_to_tcm<float>(buffer(80), 40, 41);
      break;
    case 2: {
      torch::Tensor out = get_dst_tensor();
      out.tcm_accessor().tcm_to_tensor<float>(buffer(81), 0, 81);
      break;
    }
    case 3:
      load.tensor_to_tcm<c10::BFloat16>((c10::BFloat16*)buffer(80), 0, 80);
      break;
    case 4:
      load.tensor_to_tcm<float>(buffer(4), 0, 8);
      break;
    case 5: {
      float* first = buffer(16);
      buffer(16);
      torch::neuron::tcm_free(first);
      load.tensor_to_tcm<float>(first, 0, 16);
      break;
    }
    case 6: {
      float* tcm = buffer(16);
      torch::neuron::tcm_free(tcm);
      torch::neuron::tcm_free(tcm);
      break;
    }
    case 7:  // no mistake
      torch::neuron::tcm_free(nullptr);
      break;
    case 8:
      buffer(16);
      break;
    case 9:
      own.accessor<float, 1>()[80] = 1;
      break;
    case 10:
      x.accessor<float, 2>()[0][0];
      break;
    case 11:
      x.accessor<int32_t, 1>()[0];
      break;
    case 12: {
      auto stream = x.read_stream_accessor<float>();
      for (int i = 0; i < 81; i++) stream.read();
      break;
    }
    case 13: {
      auto stream = own.write_stream_accessor<float>();
      for (int i = 0; i < 81; i++) stream.write(1);
      break;
    }
    case 14: {
      auto stream = x.read_stream_accessor<float>();
      stream.close();
      stream.read();
      break;
    }
    case 16:
      return torch::zeros({8, 10}, torch::kFloat);
    case 17:
      return torch::Tensor();
    case 18: {
      torch::Tensor operand = x;
      operand.accessor<float, 1>()[3] = 1;
      break;
    }
    case 19:
      abort();
    case 20:
      assert(x.numel() == 81);
      break;
    case 21:
      torch::neuron::gpsimd_trap("unreachable");
    case 22:
      TORCH_CHECK(x.numel() % 3 == 0, "expected a multiple of 3 elements, found ", x.sizes());
      break;
    case 23:
      torch::add(x, torch::zeros({79}, torch::kFloat));
      break;
    case 24:
      torch::sin(ints);
      break;
    case 25:
      own.tcm_accessor().tensor_to_tcm<float>(buffer(80), 1, 80);
      break;
    case 26:
      own.tcm_accessor().tensor_to_tcm<float>(nullptr, 0, 80);
      break;
    case 27: {
      torch::Tensor out = get_dst_tensor();
      auto stream = out.write_stream_accessor<float>();
      for (int i = 0; i < 79; i++) stream.write(1);
      break;
    }
    case 28:
      return torch::empty(x.sizes(), torch::kFloat);
    case 29: {
      torch::Tensor out = get_dst_tensor();
      out.accessor<float, 1>()[0] += 1;
      break;
    }
    case 30:
      own.tcm_accessor().tcm_to_tensor<float>(buffer(8), 0, 9);
      break;
    case 31:
      torch::bitwise_not(own);
      break;
  }
  return own;
}

torch::Tensor misuse_cores(const torch::Tensor& x, const torch::Tensor& which) {
  switch (number(which)) {
    case 0:
      x.accessor<float, 1>();
      break;
    case 1:
      x.read_stream_accessor<float>();
      break;
    case 2:  // what an op returns is ignored
      return torch::zeros(x.sizes(), torch::kFloat);
    case 3: {  // every core writes all
      torch::Tensor out = get_dst_tensor();
      float* tcm = buffer(80);
      x.tcm_accessor().tensor_to_tcm<float>(tcm, 0, 80);
      out.tcm_accessor().tcm_to_tensor<float>(tcm, 0, 80);
      torch::neuron::tcm_free(tcm);
      break;
    }
    case 4: {  // printing is no mistake
      printf("core %d of %u, %.2f%%\n", get_cpu_id(), get_cpu_count(), 12.5);
      puts("and a line");
      torch::Tensor out = get_dst_tensor();
      float* tcm = buffer(10);
      for (int i = 0; i < 10; i++) tcm[i] = get_cpu_id();
      out.tcm_accessor().tcm_to_tensor<float>(tcm, 10 * get_cpu_id(), 10);
      torch::neuron::tcm_free(tcm);
      break;
    }
  }
  return torch::Tensor();
}
