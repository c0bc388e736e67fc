// Kernels of oneDNN. Creating primitives, choosing layouts and bringing weights into the chosen
// layout happen when a kernel is made, as an inference runtime does when it loads a model.
#include <fmt/format.h>
#include <omp.h>

#include <array>
#include <cmath>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "models/measured_kernels_internal.hpp"

namespace isthmus::models {

namespace {

using dnnl::memory;
using Dims = memory::dims;
using Type = memory::data_type;
using Tag = memory::format_tag;
using Shape = std::vector<double>;

memory::dim dim(double v) { return static_cast<memory::dim>(v); }

Type type_of(Precision p) {
  switch (p) {
    case Precision::fp32:
      return Type::f32;
    case Precision::bf16:
      return Type::bf16;
    case Precision::int8:
      return Type::u8;
    default:
      throw InternalError("oneDNN is not measured in this format");
  }
}
Type weights_type(Precision p) { return p == Precision::int8 ? Type::s8 : type_of(p); }

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// A tensor filled with small, ordinary numbers: zeros, denormals or overflow would change times.
memory filled(const memory::desc& desc) {
  memory m(desc, engine());
  const std::size_t bytes = desc.get_size();
  auto* to = static_cast<unsigned char*>(m.get_data_handle());
  // A period that no tile size divides.
  constexpr std::size_t period = 251;
  std::array<unsigned char, period * 4> pattern{};
  std::size_t used = period;
  for (std::size_t i = 0; i < period; ++i) {
    const float value = (static_cast<float>(i % 37) - 18.0F) / 64.0F + 1.0F / 256.0F;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    const auto type = desc.data_type();
    if (type == Type::f32 || type == Type::s32) {
      std::memcpy(pattern.data() + 4 * i, &bits, 4);
      used = period * 4;
    } else if (type == Type::bf16) {
      const auto high = static_cast<std::uint16_t>(bits >> 16);
      std::memcpy(pattern.data() + 2 * i, &high, 2);
      used = period * 2;
    } else {
      pattern[i] = static_cast<unsigned char>(i % 7);
    }
  }
  for (std::size_t at = 0; at < bytes; at += used)
    std::memcpy(to + at, pattern.data(), std::min(used, bytes - at));
  return m;
}

memory::desc plain(const Dims& dims, Type type) {
  constexpr std::array tags{Tag::a, Tag::ab, Tag::abc, Tag::abcd};
  return {dims, type, tags.at(dims.size() - 1)};
}
memory::desc any(const Dims& dims, Type type) { return {dims, type, Tag::any}; }

// Primitives executed one after the other.
class Chain : public MeasuredKernel {
 public:
  Chain() : stream_(engine()) {}
  void run() override {
    for (const Step& s : steps_) s.primitive.execute(stream_, s.arguments);
    stream_.wait();
  }
  std::string implementation() const override { return names_; }

 protected:
  template <class Primitive>
  void step(const typename Primitive::primitive_desc& pd, std::unordered_map<int, memory> args) {
    const std::string name = pd.impl_info_str();
    if (name.find("ref") != std::string::npos) throw NoTunedKernel("only " + name);
    if (names_.find(name) == std::string::npos) names_ += (names_.empty() ? "" : " + ") + name;
    steps_.push_back({Primitive(pd), std::move(args)});
  }
  // dst = a x b, dst in plain layout; the result's memory is returned.
  memory product(const memory& a, const memory::desc& b, const Dims& out, Type type,
                 float scale = 1) {
    dnnl::primitive_attr attributes;
    if (scale != 1) attributes.set_output_scales(0, {scale});
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a.get_desc(), b, plain(out, type)),
                                          attributes, engine());
    memory dst = filled(pd.dst_desc());
    step<dnnl::matmul>(
        pd,
        {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())}, {DNNL_ARG_DST, dst}});
    return dst;
  }
  memory softmax(const memory& x) {
    const int last = static_cast<int>(x.get_desc().dims().size()) - 1;
    const dnnl::softmax_forward::primitive_desc pd(
        dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, x.get_desc(), last),
        engine());
    memory y = filled(pd.dst_desc());
    step<dnnl::softmax_forward>(pd, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}});
    return y;
  }

 private:
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
  };
  dnnl::stream stream_;
  std::vector<Step> steps_;
  std::string names_;
};

class Gemm : public Chain {
 public:
  Gemm(const Shape& s, Precision p) {
    const auto n = dim(s[0]), k = dim(s[1]), m = dim(s[2]);
    product(filled(plain({m, k}, type_of(p))), any({k, n}, weights_type(p)), {m, n}, type_of(p));
  }
};

class BatchedGemm : public Chain {
 public:
  BatchedGemm(const Shape& s, Precision p) {
    const auto count = dim(s[0]), n = dim(s[1]), k = dim(s[2]), m = dim(s[3]);
    product(filled(plain({count, m, k}, type_of(p))), plain({count, k, n}, weights_type(p)),
            {count, m, n}, type_of(p));
  }
};

// Height of the plane with that many positions: the largest divisor up to the square root.
memory::dim height_of(double positions) {
  auto h = dim(std::sqrt(positions));
  while (dim(positions) % h != 0) --h;
  return h;
}

class Convolution : public Chain {
 public:
  Convolution(memory::dim kernel, memory::dim stride, memory::dim groups, memory::dim in,
              memory::dim out, double positions, Precision p) {
    const auto height = height_of(positions), width = dim(positions) / height;
    const Dims filter = groups == 1 ? Dims{out, in, kernel, kernel}
                                    : Dims{groups, out / groups, in / groups, kernel, kernel};
    const memory::dim before = kernel / 2,
                      after = std::max<memory::dim>(kernel - stride - before, 0);
    const dnnl::convolution_forward::primitive_desc pd(
        dnnl::convolution_forward::desc(
            dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_auto,
            any({1, in, height * stride, width * stride}, type_of(p)), any(filter, weights_type(p)),
            any({1, out, height, width}, type_of(p)), Dims{stride, stride}, Dims{before, before},
            Dims{after, after}),
        engine());
    step<dnnl::convolution_forward>(pd, {{DNNL_ARG_SRC, filled(pd.src_desc())},
                                         {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                                         {DNNL_ARG_DST, filled(pd.dst_desc())}});
  }
};

class Add : public Chain {
 public:
  Add(const Shape& s, Precision p) {
    const memory a = filled(plain({dim(s[0])}, type_of(p))), b = filled(a.get_desc());
    const memory c = filled(a.get_desc());
    const dnnl::binary::primitive_desc pd(
        dnnl::binary::desc(dnnl::algorithm::binary_add, a.get_desc(), b.get_desc(), c.get_desc()),
        engine());
    step<dnnl::binary>(pd, {{DNNL_ARG_SRC_0, a}, {DNNL_ARG_SRC_1, b}, {DNNL_ARG_DST, c}});
  }
};

class Swish : public Chain {
 public:
  Swish(const Shape& s, Precision p) {
    const memory x = filled(plain({dim(s[0])}, type_of(p))), y = filled(x.get_desc());
    const dnnl::eltwise_forward::primitive_desc pd(
        dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference,
                                    dnnl::algorithm::eltwise_swish, x.get_desc(), 1.0F),
        engine());
    step<dnnl::eltwise_forward>(pd, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}});
  }
};

class Softmax : public Chain {
 public:
  Softmax(const Shape& s, Precision p) {
    softmax(filled(plain({dim(s[1]), dim(s[0])}, type_of(p))));
  }
};

class LayerNorm : public Chain {
 public:
  LayerNorm(const Shape& s, Precision p) {
    const memory x = filled(plain({dim(s[1]), dim(s[0])}, type_of(p))), y = filled(x.get_desc());
    const memory scale = filled(plain({2, dim(s[0])}, Type::f32));
    const dnnl::layer_normalization_forward::primitive_desc pd(
        dnnl::layer_normalization_forward::desc(dnnl::prop_kind::forward_inference, x.get_desc(),
                                                1e-5F, dnnl::normalization_flags::use_scale_shift),
        engine());
    step<dnnl::layer_normalization_forward>(
        pd, {{DNNL_ARG_SRC, x}, {DNNL_ARG_SCALE_SHIFT, scale}, {DNNL_ARG_DST, y}});
  }
};

// Scores, softmax and the weighted sum of values for `count` groups of queries that share keys.
class Attention : public Chain {
 public:
  Attention(double count, double queries, double keys, double width, Precision p) {
    const auto c = dim(count), q = dim(queries), k = dim(keys), w = dim(width);
    const Type type = type_of(p);
    // Keys lie as they are stored: one row per token.
    const memory scores = product(filled(plain({c, q, w}, type)), {{c, w, k}, type, Tag::acb},
                                  {c, q, k}, type, 1 / std::sqrt(static_cast<float>(w)));
    product(softmax(scores), plain({c, k, w}, type), {c, q, w}, type);
  }
};

// Adds a family unless this CPU only emulates the format: bf16 products need AVX512_BF16, int8
// products VNNI.
class Families {
 public:
  explicit Families(std::vector<KernelFamily>& out) : out_(out) {}
  void add(const char* kind, const std::string& text,
           const std::function<std::unique_ptr<MeasuredKernel>(const Shape&, Precision)>& make,
           bool product, bool int8 = true) {
    for (const Precision p : {Precision::fp32, Precision::bf16, Precision::int8}) {
      if (p == Precision::int8 && !int8) continue;
      std::string formats = p == Precision::int8 && product
                                ? "; activations and results u8, weights s8, sums s32"
                                : "";
      out_.push_back(
          {kind, p, text + formats, [make, p, product](const Shape& s) {
             if (product && !native(p))
               throw NoTunedKernel(fmt::format("the CPU has no {} products", name_of(p)));
             try {
               return make(s, p);
             } catch (const dnnl::error& e) {
               if (e.status == dnnl_out_of_memory) throw Error(fmt::format("oneDNN: {}", e.what()));
               throw NoTunedKernel(e.status == dnnl_unimplemented ? std::string("not implemented")
                                                                  : std::string(e.what()));
             }
           }});
    }
  }

 private:
  static bool native(Precision p) {
    const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    const auto has = [&](dnnl::cpu_isa wanted) {
      return (isa & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
    };
    if (p == Precision::bf16) return has(dnnl::cpu_isa::avx512_core_bf16);
    if (p == Precision::int8)
      return has(dnnl::cpu_isa::avx512_core_vnni) || has(dnnl::cpu_isa::avx2_vnni);
    return true;
  }
  std::vector<KernelFamily>& out_;
};

template <class Kernel>
std::unique_ptr<MeasuredKernel> make(const Shape& s, Precision p) {
  return std::make_unique<Kernel>(s, p);
}

std::string isa_name() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2 with VNNI";
    case dnnl::cpu_isa::avx512_core:
      return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX-512 with VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 with VNNI and BF16";
    default:
      return fmt::format("instruction set {:#x}",
                         static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  }
}

}  // namespace

std::vector<KernelFamily> onednn_families() {
  std::vector<KernelFamily> all;
  Families f(all);
  f.add("gemm", "matmul, row-major activations, weights in the library's layout, no bias",
        make<Gemm>, true);
  f.add("batched_gemm", "matmul of row-major activations", make<BatchedGemm>, true);
  f.add(
      "conv",
      "direct, implicit or Winograd convolution as the library chooses, batch 1, square plane, "
      "padding kernel/2, all operands in the library's layout, no bias",
      [](const Shape& s, Precision p) {
        return std::make_unique<Convolution>(dim(s[0]), dim(s[1]), dim(s[2]), dim(s[3]), dim(s[4]),
                                             s[5], p);
      },
      true);
  f.add(
      "depthwise_conv",
      "depthwise convolution, batch 1, square plane, padding kernel/2, library's layouts",
      [](const Shape& s, Precision p) {
        return std::make_unique<Convolution>(dim(s[0]), dim(s[1]), dim(s[3]), dim(s[3]), dim(s[3]),
                                             s[2], p);
      },
      true);
  f.add("elementwise", "c = a + b", make<Add>, false);
  f.add("activation", "swish, x * sigmoid(x)", make<Swish>, false);
  f.add(
      "copy", "memcpy", [](const Shape& s, Precision p) { return make_copy(s, bytes_of(p)); },
      false);
  f.add("softmax", "softmax of each row", make<Softmax>, false);
  f.add("norm", "layer norm of each row with scale and shift in fp32", make<LayerNorm>, false);
  f.add(
      "embedding", "gathers rows of a table of up to 64 MB with memcpy",
      [](const Shape& s, Precision p) { return make_embedding(s, bytes_of(p)); }, false);
  f.add(
      "encoder_attention", "scaled product with keys, softmax, product with values, not fused",
      [](const Shape& s, Precision p) {
        return std::make_unique<Attention>(s[0] * s[2], s[3], s[3], s[1], p);
      },
      true, false);
  f.add(
      "decode_attention",
      "scaled product with context + 1 keys, softmax, product with values, not fused; queries "
      "that share a key-value head are one product",
      [](const Shape& s, Precision p) {
        return std::make_unique<Attention>(s[1] * s[4], s[0] / s[1], s[5] + 1, s[2], p);
      },
      true, false);
  return all;
}

std::string onednn_library() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} ({})", v->major, v->minor, v->patch, isa_name());
}

KernelThreads::KernelThreads(int threads) : before_(omp_get_max_threads()) {
  omp_set_num_threads(threads);
}
KernelThreads::~KernelThreads() { omp_set_num_threads(before_); }

}  // namespace isthmus::models
