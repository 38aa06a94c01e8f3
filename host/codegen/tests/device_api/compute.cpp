// Factories, element-wise functions, and every element type.
#include <torch/torch.h>

// One function of `x` and `y` after the other, each a row of the output: [rows, n].
torch::Tensor elementwise(const torch::Tensor& x, const torch::Tensor& y) {
  torch::Tensor rows[] = {
      torch::abs(x),         torch::ceil(x),        torch::floor(x),       torch::sin(x),          torch::cos(x),
      torch::tan(x),         torch::log(y),         torch::log2(y),        torch::log10(y),        torch::exp(x),
      torch::pow(y, x),      torch::pow(y, 2),      torch::pow(2, x),      torch::clamp(x, -1, 1), torch::add(x, y),
      torch::add(x, y, 2),   torch::add(x, 3),      torch::sub(x, y),      torch::sub(x, y, 0.5),  torch::sub(x, 3),
      torch::mul(x, y),      torch::mul(x, 3),      torch::div(x, y),      torch::div(x, 3),
  };
  torch::Tensor in_place = torch::zeros(x.sizes(), torch::kFloat);
  torch::exp_out(in_place, x);
  torch::mul_out(in_place, in_place, y);

  torch::Tensor out = get_dst_tensor();
  auto stream = out.write_stream_accessor<float>();
  for (const torch::Tensor& row : rows) {
    auto elements = row.accessor<float, 1>();
    for (int64_t i = 0; i < x.numel(); i++) stream.write(elements[i]);
  }
  auto elements = in_place.read_stream_accessor<float>();
  for (int64_t i = 0; i < x.numel(); i++) stream.write(elements.read());
  return out;
}

// (x & y, x | y, ~x, x + y, -x's absolute value) of integers: [5, n].
template <class T>
static void integers_of(const torch::Tensor& x, const torch::Tensor& y, torch::Tensor out) {
  torch::Tensor rows[] = {torch::bitwise_and(x, y), torch::bitwise_or(x, y), torch::bitwise_not(x), torch::add(x, y),
                          torch::abs(torch::mul(x, -1))};
  auto out_acc = out.accessor<T, 2>();
  for (int64_t row = 0; row < 5; row++) {
    auto elements = rows[row].accessor<T, 1>();
    for (int64_t i = 0; i < x.numel(); i++) out_acc[row][i] = elements[i];
  }
}

torch::Tensor integers(const torch::Tensor& x, const torch::Tensor& y) {
  torch::Tensor out = torch::empty({5, x.size(0)}, x.dtype());
  switch (x.scalar_type()) {
    case torch::kInt:
      integers_of<int32_t>(x, y, out);
      break;
    case torch::kShort:
      integers_of<int16_t>(x, y, out);
      break;
    case torch::kChar:
      integers_of<int8_t>(x, y, out);
      break;
    case torch::kByte:
      integers_of<uint8_t>(x, y, out);
      break;
    default:
      TORCH_CHECK(false, "expected integers, found ", x.dtype());
  }
  return out;
}

// [4, 3] of `like`'s dtype: a row of ones, one of 2.5 or 2, and the identity from the third on.
template <class T>
static void factories_of(torch::Tensor out) {
  torch::Tensor ones = torch::ones({3}, out.dtype()), full = torch::full({3}, 2.5, out.dtype());
  torch::Tensor eye = torch::eye(2, 3, out.dtype());
  auto to = out.accessor<T, 2>();
  for (int i = 0; i < 3; i++) {
    to[0][i] = ones.accessor<T, 1>()[i];
    to[1][i] = full.accessor<T, 1>()[i];
    to[2][i] = eye.accessor<T, 2>()[0][i];
    to[3][i] = eye.accessor<T, 2>()[1][i];
  }
}

torch::Tensor factories(const torch::Tensor& like) {
  torch::Tensor out = torch::zeros({4, 3}, like.dtype());
  switch (like.scalar_type()) {
    case torch::kFloat:
      factories_of<float>(out);
      break;
    case torch::kBFloat16:
      factories_of<c10::BFloat16>(out);
      break;
    case torch::kHalf:
      factories_of<at::Half>(out);
      break;
    default:
      factories_of<int32_t>(out);
      break;
  }
  return out;
}

// f32 to the dtype of `like` and the other way round, through streams.
template <class From, class To>
static void convert_of(const torch::Tensor& x, torch::Tensor out) {
  auto in_stream = x.read_stream_accessor<From>();
  auto out_stream = out.write_stream_accessor<To>();
  for (int64_t i = 0; i < x.numel(); i++) out_stream.write(To(float(in_stream.read())));
  in_stream.close();
  out_stream.close();
}

torch::Tensor convert(const torch::Tensor& x, const torch::Tensor& like) {
  torch::Tensor out = torch::empty(x.sizes(), like.dtype());
  if (x.dtype() == torch::kFloat) {
    if (like.dtype() == torch::kHalf) {
      convert_of<float, c10::Half>(x, out);
    } else {
      convert_of<float, c10::BFloat16>(x, out);
    }
  } else if (x.dtype() == torch::kHalf) {
    convert_of<c10::Half, float>(x, out);
  } else {
    convert_of<c10::BFloat16, float>(x, out);
  }
  return out;
}
