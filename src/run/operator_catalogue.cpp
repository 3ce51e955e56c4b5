#include "run/operator_catalogue.h"

#include <ATen/ATen.h>

#include <map>

namespace tweedie {

namespace {

Tensor normal(const Shape& shape, uint64_t id) {
  return Noise(1).stream(id).normal(shape, at::kDouble);
}

std::map<std::string, Tensor> arrays() {
  const Tensor letters = at::tensor({'c', 's', 'r'}, at::kByte);
  return {
      {"matrix.npy", normal({7, 48}, 1)},
      {"colour.npy", normal({2, 3}, 2)},
      {"coils.npy", at::view_as_complex(normal({3, 8, 8, 2}, 7))},
      {"kernel.npy", normal({3, 4}, 3)},
      {"kernels.npy", normal({2, 3, 3, 3}, 4)},
      {"keep.npy", normal({8, 8}, 5).gt(0).to(at::kByte)},
      {"cameras.npy", normal({2, 3, 4}, 6)},
      {"intrinsics.npy", at::tensor({2., 0., .5, 0., 2., .5, 0., 0., 1.}, at::kDouble).view({3, 3})},
      {"sparse.npz:format", letters},
      {"sparse.npz:shape", at::tensor({3, 48}, at::kLong)},
      {"sparse.npz:indptr", at::tensor({0, 2, 2, 5}, at::kInt)},
      {"sparse.npz:indices", at::tensor({0, 47, 3, 20, 5}, at::kInt)},
      {"sparse.npz:data", at::tensor({1., -2., .5, 3., .25}, at::kDouble)},
  };
}

OperatorOptions compressed(CompressedSensingOptions::Matrix matrix, int64_t measurements) {
  return CompressedSensingOptions{.matrix = matrix, .measurements = measurements, .seed = 1};
}

template <class Composite, class... Options>
OperatorOptions made_of(Options... parts) {
  Composite composite{};
  (composite.parts.push_back({parts}), ...);
  return composite;
}

std::vector<CatalogueEntry> entries() {
  using Sensing = CompressedSensingOptions::Matrix;
  using Pattern = MaskOptions::Pattern;
  const Shape image{1, 8, 8}, colours{3, 8, 8}, three{3, 4, 4}, points{5, 3};
  const auto box = MaskOptions{.pattern = Pattern::box, .top = 1, .left = 2, .height = 3, .width = 4};
  const auto random = MaskOptions{.fraction = 0.4, .seed = 1};
  const auto mean = DownsampleOptions{2};
  const auto blur = BlurOptions{.std = 1.2};
  const auto zero_blur = BlurOptions{.std = 1.2, .boundary = Boundary::zero};
  const auto adjoint = [=] {
    AdjointOptions o;
    o.parts.push_back({mean});
    o.shape = {1, 16, 16};
    return OperatorOptions(o);
  };
  const auto scale = [=] {
    ScaleOptions o;
    o.parts.push_back({blur});
    o.factor = -2.5;
    return OperatorOptions(o);
  };
  const auto phase = [](Detector detector, PhaseRetrievalOptions::Coding coding) {
    return PhaseRetrievalOptions{.oversampling = 1.5, .detector = detector, .coding = coding, .masks = 2};
  };
  using Coding = PhaseRetrievalOptions::Coding;
  const KSpaceOptions real_image, complex_image{.complex = true}, corner{.centred = false};
  const auto lines = [](const KSpaceOptions& k_space) {
    return CartesianOptions{
        .sampling = {.pattern = SamplingPattern::equispaced, .acceleration = 2, .centre = 2},
        .k_space = k_space};
  };
  const auto fan = [](RadonGeometry::Beam beam) {
    return RadonOptions{.beam = beam, .views = 7, .source_distance = 20, .detector_distance = 12};
  };
  const auto coils = [=](const KSpaceOptions& k_space) {
    return MultiCoilOptions{.sensitivities = "coils.npy", .cartesian = lines(k_space)};
  };
  // Precise: at the default tolerance A^T A by one convolution is the product of A^T and A to 1e-4 only,
  // which the pseudo-inverse of what is badly conditioned shows.
  const NufftSettings precise{.tolerance = 1e-11};
  const auto spiral = [=] {
    NufftOptions o{
        .trajectory = NufftOptions::Trajectory::spiral, .interleaves = 3, .sensitivities = "coils.npy"};
    o.settings = precise;
    o.settings.complex = true;
    return OperatorOptions(o);
  };
  const auto given = [](const auto& options) { return [options] { return OperatorOptions(options); }; };
  return {
      {"identity", image, given(IdentityOptions{})},
      {"mask, random", image, given(random)},
      {"mask, box", image, given(box)},
      {"mask, file", image, given(MaskOptions{.pattern = Pattern::file, .file = "keep.npy"})},
      {"crop", colours, given(CropOptions{1, 2, 5, 4})},
      {"blur, gaussian, circular", image, given(blur)},
      {"blur, gaussian, zero", image, given(zero_blur)},
      {"blur, motion", image,
       given(BlurOptions{.kernel = BlurOptions::Kernel::motion, .length = 4.5, .angle = 30})},
      {"blur, file", image, given(BlurOptions{.kernel = BlurOptions::Kernel::file, .file = "kernel.npy"})},
      {"varying-blur", image, given(VaryingBlurOptions{"kernels.npy"})},
      {"downsample", image, given(mean)},
      {"bicubic", image, given(BicubicOptions{2})},
      {"decolour", colours, given(DecolourOptions{})},
      {"colour", colours, given(ColourOptions{"colour.npy"})},
      {"matrix", three, given(MatrixOptions{"matrix.npy"})},
      {"sparse", three, given(SparseOptions{"sparse.npz"})},
      {"compressed-sensing, gaussian", image, [] { return compressed(Sensing::gaussian, 20); }},
      {"compressed-sensing, hadamard", image, [] { return compressed(Sensing::hadamard, 20); }},
      {"compressed-sensing, dct", three, [] { return compressed(Sensing::dct, 20); }},
      {"wavelet, haar", image, given(WaveletOptions{})},
      {"wavelet, db2", image, given(WaveletOptions{Wavelet::db2, 3})},
      {"wavelet, db3", image, given(WaveletOptions{Wavelet::db3, 1})},
      {"wavelet, db4", image, given(WaveletOptions{Wavelet::db4, 2})},
      {"differences, replicate", image, given(DifferencesOptions{})},
      {"differences, circular", image, given(DifferencesOptions{Edge::circular})},
      {"fourier", image, given(FourierOptions{lines(real_image)})},
      {"fourier, corner", image, given(FourierOptions{lines(corner)})},
      {"fourier, complex", {2, 8, 8}, given(FourierOptions{lines(complex_image)})},
      {"multi-coil", image, given(coils(real_image))},
      {"multi-coil, complex", {2, 8, 8}, given(coils(complex_image))},
      {"nufft, radial", image, given(NufftOptions{.spokes = 5, .settings = precise})},
      {"nufft, spiral, coils, complex", {2, 8, 8}, spiral},
      {"radon, parallel", image, given(RadonOptions{.views = 7})},
      {"radon, fan-flat", image, given(fan(RadonGeometry::Beam::fan_flat))},
      {"radon, fan-arc", image, given(fan(RadonGeometry::Beam::fan_arc))},
      {"compose", image, [=] { return made_of<ComposeOptions>(zero_blur, mean, random); }},
      {"sum", image, [=] { return made_of<SumOptions>(blur, IdentityOptions{}); }},
      {"stack", image, [=] { return made_of<StackOptions>(mean, random); }},
      {"block-diagonal", {2, 8, 8}, [=] { return made_of<BlockDiagonalOptions>(mean, blur); }},
      {"adjoint", image, adjoint},
      {"scale", image, scale},
      {"phase-retrieval, amplitude", image, given(phase(Detector::amplitude, Coding::none))},
      {"phase-retrieval, intensity", image, given(phase(Detector::intensity, Coding::none))},
      {"phase-retrieval, coded by phases", image, given(phase(Detector::amplitude, Coding::phase))},
      {"phase-retrieval, coded by 0 and 1", image, given(phase(Detector::amplitude, Coding::binary))},
      {"phase-retrieval, complex",
       {2, 8, 8},
       [] { return PhaseRetrievalOptions{.complex = true, .coding = Coding::phase, .masks = 3}; }},
      {"saturation, clip", image, given(SaturationOptions{})},
      {"saturation, tanh", image, given(SaturationOptions{.curve = ToneCurve::tanh})},
      {"quantisation", image, given(QuantisationOptions{})},
      {"quantisation, zero derivative", image,
       given(QuantisationOptions{.derivative = QuantiserDerivative::zero})},
      {"perspective, cameras", points, given(PerspectiveOptions{.cameras = "cameras.npy"})},
      {"perspective, stereo", points,
       given(PerspectiveOptions{.intrinsics = "intrinsics.npy", .translation = {0, 0, 4}, .baseline = 0.2})},
      {"compose, not linear", image,
       [=] { return made_of<ComposeOptions>(blur, SaturationOptions{}, mean); }},
  };
}

}  // namespace

const std::vector<CatalogueEntry>& operator_catalogue() {
  static const std::vector<CatalogueEntry> all = entries();
  return all;
}

Tensor catalogue_array(const std::filesystem::path& name) {
  static const std::map<std::string, Tensor> all = arrays();
  return all.at(name.string());
}

}  // namespace tweedie
