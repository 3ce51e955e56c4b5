#include "run/forecast_field.h"

#include "core/shape.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

bool ends_in(at::IntArrayRef shape, const Shape& end, size_t more) {
  return shape.size() == end.size() + more &&
         std::equal(end.begin(), end.end(), shape.begin() + static_cast<long>(more));
}

}  // namespace

Tensor read_real_array(const std::filesystem::path& path) {
  const Tensor array = read_array(path);
  if (array.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  return array.to(at::kDouble).contiguous();
}

Tensor read_leads(const std::filesystem::path& path, int64_t cases, int64_t leads, const Shape& shape,
                  bool each_its_own) {
  const Tensor array = read_real_array(path);
  const Shape all = with_batch(cases, with_batch(leads, shape));
  const Shape own = array.sizes().vec();
  const size_t extra = own.size() - std::min(own.size(), shape.size());
  const auto is = [&](int64_t size, int64_t whole) { return size == whole || (size == 1 && !each_its_own); };
  const bool fits = extra <= 2 && ends_in(own, shape, extra) && (extra < 1 || is(own[extra - 1], leads)) &&
                    (extra < 2 || is(own[0], cases));
  if (fits && (extra == 2 || !each_its_own || (extra == 1 && cases == 1))) return array.expand(all);
  throw Error(path.string(), fmt::format("shape {}, but {} is meant: cases, leads and the field",
                                         to_string(array.sizes()), to_string(all)));
}

FieldMap::FieldMap(const std::optional<FieldOptions>& options, const Shape& state, int64_t cases,
                   int64_t leads)
    : shape_(state), cases_(cases) {
  if (!options) return;
  if (!options->basis.empty()) {
    const Tensor basis = read_real_array(options->basis);
    if (basis.dim() < 2 || basis.size(0) != product(state)) {
      throw Error(options->basis.string(),
                  fmt::format("shape {}, but states are {}: (K, *field) with K = {} is meant",
                              to_string(basis.sizes()), to_string(state), product(state)));
    }
    shape_ = basis.sizes().slice(1).vec();
    basis_ = basis.flatten(1);
  }
  if (!options->offset.empty()) offset_ = read_leads(options->offset, cases, leads, shape_);
  if (options->residuals.empty()) return;
  residuals_ = read_real_array(options->residuals);
  of_lead_ = ends_in(residuals_.sizes(), shape_, 2);
  if ((!of_lead_ && !ends_in(residuals_.sizes(), shape_, 1)) || (of_lead_ && residuals_.size(0) != leads) ||
      residuals_.numel() == 0) {
    throw Error(options->residuals.string(),
                fmt::format("shape {}, but {} fields of {}, or as many for each of {} leads, are meant",
                            to_string(residuals_.sizes()), "N", to_string(shape_), leads));
  }
  if (!of_lead_) residuals_ = residuals_.unsqueeze(0);
  mean_ = residuals_.mean(1);
  residuals_ = residuals_ - mean_.unsqueeze(1);
}

Tensor FieldMap::expected(const Tensor& states, int64_t c, int64_t lead) const {
  Tensor fields = states;
  if (basis_.defined())
    fields = states.reshape({states.size(0), -1}).matmul(basis_).view(with_batch(states.size(0), shape_));
  if (offset_.defined()) fields = fields + offset_[c][lead];
  return mean_.defined() ? fields + mean_[of_lead_ ? lead : 0] : fields;
}

Tensor FieldMap::with_residuals(const Tensor& expected, int64_t c, int64_t lead, const Noise& noise) const {
  if (!residuals_.defined()) return expected;
  const int64_t members = expected.size(0);
  std::vector<uint64_t> rows(members);
  for (int64_t m = 0; m < members; ++m) rows[m] = static_cast<uint64_t>(c + cases_ * m);
  Noise of_members = noise.rows(std::move(rows)).stream(Stream::resampling);
  if (!of_lead_) of_members.seek(static_cast<uint32_t>(lead));
  std::vector<int64_t> chosen;
  for (const uint64_t bits : of_members.bits(members))
    chosen.push_back(static_cast<int64_t>(bits % static_cast<uint64_t>(residuals_.size(1))));
  return expected + residuals_[of_lead_ ? lead : 0].index_select(0, at::tensor(chosen));
}

}  // namespace tweedie
