// Stockham's transform (Cochran et al., "What is the fast Fourier transform?", 1967), decimation in
// frequency: a pass of radix r takes x[i + a j + a r k], j < r, i < a, to
//   y[i + a k + a b m] = w^{i m} sum_j x[i + a j + a r k] exp(-2 pi i j m / r),  w = exp(-2 pi i b / N),
// with b = `before` the product of the radices so far, k < b, and a = `after` = N / (b r).

#include "kernel/fourier.h"

#include "core/vectorised.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace tweedie {

namespace {

template <class Value>
using V = typename Lanes<Value>::Type;

template <class Value>
struct Complex {
  V<Value> re, im;
};

template <class Value>
TWEEDIE_INLINE Complex<Value> operator+(const Complex<Value>& a, const Complex<Value>& b) {
  return {a.re + b.re, a.im + b.im};
}
template <class Value>
TWEEDIE_INLINE Complex<Value> operator-(const Complex<Value>& a, const Complex<Value>& b) {
  return {a.re - b.re, a.im - b.im};
}
template <class Value>
TWEEDIE_INLINE Complex<Value> times(const Complex<Value>& a, Value re, Value im) {
  return {a.re * re - a.im * im, a.re * im + a.im * re};
}
template <class Value>
TWEEDIE_INLINE Complex<Value> scaled(const Complex<Value>& a, Value s) {
  return {a.re * s, a.im * s};
}
// -i s a
template <class Value>
TWEEDIE_INLINE Complex<Value> turned(const Complex<Value>& a, Value s) {
  return {a.im * s, -a.re * s};
}

template <int radix, class Value>
TWEEDIE_INLINE void butterfly(Complex<Value>* x) {
  if constexpr (radix == 2) {
    const auto a = x[0];
    x[0] = a + x[1];
    x[1] = a - x[1];
  } else if constexpr (radix == 3) {
    constexpr auto sine = static_cast<Value>(0.86602540378443864676);
    const auto sum = x[1] + x[2], side = turned(x[1] - x[2], sine);
    const auto middle = x[0] - scaled(sum, Value(0.5));
    x[0] = x[0] + sum;
    x[1] = middle + side;
    x[2] = middle - side;
  } else if constexpr (radix == 4) {
    const auto a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = turned(x[1] - x[3], Value(1));
    x[0] = a + c;
    x[1] = b + d;
    x[2] = a - c;
    x[3] = b - d;
  } else {
    constexpr auto c1 = static_cast<Value>(0.30901699437494742410),
                   c2 = static_cast<Value>(-0.80901699437494742410);
    constexpr auto s1 = static_cast<Value>(0.95105651629515357212),
                   s2 = static_cast<Value>(0.58778525229247312917);
    const auto p = x[1] + x[4], q = x[2] + x[3], u = x[1] - x[4], v = x[2] - x[3];
    const auto a = x[0] + scaled(p, c1) + scaled(q, c2), b = x[0] + scaled(p, c2) + scaled(q, c1);
    const auto d = turned(u, s1) + turned(v, s2), e = turned(u, s2) - turned(v, s1);
    x[0] = x[0] + p + q;
    x[1] = a + d;
    x[2] = b + e;
    x[3] = b - e;
    x[4] = a - d;
  }
}

template <int radix, class Value>
TWEEDIE_INLINE void pass(const FourierPass<Value>& p, const Complex<Value>* x, Complex<Value>* y) {
  const int64_t out = p.after * p.before;
  for (int64_t k = 0; k < p.before; ++k) {
    const Value* twiddle = p.twiddles;
    for (int64_t i = 0; i < p.after; ++i, twiddle += 2 * (radix - 1)) {
      Complex<Value> t[radix];
      for (int j = 0; j < radix; ++j) t[j] = x[i + p.after * (j + radix * k)];
      butterfly<radix>(t);
      Complex<Value>* to = y + i + p.after * k;
      to[0] = t[0];
      if (p.after == 1) {
        for (int m = 1; m < radix; ++m) to[m * out] = t[m];
      } else {
        for (int m = 1; m < radix; ++m) {
          to[m * out] = times(t[m], twiddle[2 * m - 2], twiddle[2 * m - 1]);
        }
      }
    }
  }
}

template <class Value>
TWEEDIE_INLINE void pass_of_prime(const FourierPass<Value>& p, const Complex<Value>* x, Complex<Value>* y) {
  const int64_t out = p.after * p.before;
  for (int64_t k = 0; k < p.before; ++k) {
    for (int64_t i = 0; i < p.after; ++i) {
      const Complex<Value>* from = x + i + p.after * p.radix * k;
      Complex<Value>* to = y + i + p.after * k;
      for (int64_t m = 0; m < p.radix; ++m) {
        Complex<Value> sum = from[0];
        int64_t root = 0;
        for (int64_t j = 1; j < p.radix; ++j) {
          root += m;
          if (root >= p.radix) root -= p.radix;
          sum = sum + times(from[p.after * j], p.roots[2 * root], p.roots[2 * root + 1]);
        }
        const int64_t twiddle = 2 * ((p.radix - 1) * i + m - 1);
        to[m * out] = m == 0 ? sum : times(sum, p.twiddles[twiddle], p.twiddles[twiddle + 1]);
      }
    }
  }
}

// Where the transform is: in x or in y
template <class Value>
TWEEDIE_INLINE Complex<Value>* transform(const FourierPass<Value>* passes, int64_t count, Complex<Value>* x,
                                         Complex<Value>* y) {
  for (int64_t i = 0; i < count; ++i) {
    switch (passes[i].radix) {
      case 2:
        pass<2>(passes[i], x, y);
        break;
      case 3:
        pass<3>(passes[i], x, y);
        break;
      case 4:
        pass<4>(passes[i], x, y);
        break;
      case 5:
        pass<5>(passes[i], x, y);
        break;
      default:
        pass_of_prime(passes[i], x, y);
    }
    std::swap(x, y);
  }
  return x;
}

template <class Value>
TWEEDIE_INLINE V<Value> load(const Value* from, int64_t count) {
  V<Value> v{};
  if (count >= Lanes<Value>::count) {
    __builtin_memcpy(&v, from, sizeof v);
  } else {
    Value some[Lanes<Value>::count] = {};
    for (int64_t i = 0; i < count; ++i) some[i] = from[i];
    __builtin_memcpy(&v, some, sizeof v);
  }
  return v;
}
template <class Value>
TWEEDIE_INLINE void store(Value* to, V<Value> v, int64_t count) {
  if (count >= Lanes<Value>::count) {
    __builtin_memcpy(to, &v, sizeof v);
  } else {
    Value some[Lanes<Value>::count];
    __builtin_memcpy(some, &v, sizeof v);
    for (int64_t i = 0; i < count; ++i) to[i] = some[i];
  }
}

template <class Value>
struct Job {
  const FourierPass<Value>* passes;
  int64_t count, n;
  Planes<Value> image;
  int64_t begin, end;
  Complex<Value>*work, *other;
};

template <class Value>
TWEEDIE_INLINE void all_columns(const Job<Value>* job) {
  const Planes<Value> image = job->image;
  for (int64_t c = job->begin; c < job->end; c += Lanes<Value>::count) {
    const int64_t lines = job->end - c;
    for (int64_t i = 0; i < job->n; ++i) {
      job->work[i] = {load<Value>(image.re + i * image.stride + c, lines),
                      load<Value>(image.im + i * image.stride + c, lines)};
    }
    const Complex<Value>* x = transform(job->passes, job->count, job->work, job->other);
    for (int64_t i = 0; i < job->n; ++i) {
      store<Value>(image.re + i * image.stride + c, x[i].re, lines);
      store<Value>(image.im + i * image.stride + c, x[i].im, lines);
    }
  }
}

template <class Value>
TWEEDIE_INLINE void all_rows(const Job<Value>* job) {
  constexpr int64_t lanes = Lanes<Value>::count;
  const Planes<Value> image = job->image;
  V<Value> block[lanes];
  for (int64_t r = job->begin; r < job->end; r += lanes) {
    const int64_t lines = job->end - r < lanes ? job->end - r : lanes;
    for (int64_t c = 0; c < job->n; c += lanes) {
      const int64_t width = job->n - c < lanes ? job->n - c : lanes;
      for (int plane = 0; plane < 2; ++plane) {
        const Value* from = (plane == 0 ? image.re : image.im) + r * image.stride + c;
        for (int64_t i = 0; i < lanes; ++i) {
          block[i] = i < lines ? load<Value>(from + i * image.stride, width) : V<Value>{};
        }
        transpose<Value>(block);
        for (int64_t i = 0; i < width; ++i)
          (plane == 0 ? job->work[c + i].re : job->work[c + i].im) = block[i];
      }
    }
    const Complex<Value>* x = transform(job->passes, job->count, job->work, job->other);
    for (int64_t c = 0; c < job->n; c += lanes) {
      const int64_t width = job->n - c < lanes ? job->n - c : lanes;
      for (int plane = 0; plane < 2; ++plane) {
        for (int64_t i = 0; i < lanes; ++i) {
          block[i] = i < width ? (plane == 0 ? x[c + i].re : x[c + i].im) : V<Value>{};
        }
        transpose<Value>(block);
        Value* to = (plane == 0 ? image.re : image.im) + r * image.stride + c;
        for (int64_t i = 0; i < lines; ++i) store<Value>(to + i * image.stride, block[i], width);
      }
    }
  }
}

std::vector<int64_t> radices(int64_t n) {
  std::vector<int64_t> result;
  while (n % 4 == 0) {
    result.push_back(4);
    n /= 4;
  }
  for (int64_t p = 2; n > 1; ++p) {
    if (p * p > n) p = n;
    for (; n % p == 0; n /= p) result.push_back(p);
  }
  return result;
}

template <class Value>
Complex<Value>* workspace(int64_t count) {
  thread_local std::vector<Complex<Value>> memory;
  if (static_cast<int64_t>(memory.size()) < count) memory.resize(count);
  return memory.data();
}

}  // namespace

template <class Value>
FourierLines<Value>::FourierLines(int64_t n) : n_(n) {
  std::vector<int64_t> places;  // in numbers_: twiddles and roots of each pass
  const auto push = [&](int64_t turns, int64_t of) {
    const double angle = -2 * std::numbers::pi * static_cast<double>(turns % of) / static_cast<double>(of);
    numbers_.push_back(static_cast<Value>(std::cos(angle)));
    numbers_.push_back(static_cast<Value>(std::sin(angle)));
  };
  int64_t before = 1;
  for (const int64_t radix : radices(n)) {
    const int64_t after = n / (before * radix);
    passes_.push_back({radix, before, after, nullptr, nullptr});
    places.push_back(static_cast<int64_t>(numbers_.size()));
    for (int64_t i = 0; i < after; ++i) {
      for (int64_t m = 1; m < radix; ++m) push(m * i * before, n);
    }
    places.push_back(static_cast<int64_t>(numbers_.size()));
    for (int64_t j = 0; j < radix; ++j) push(j, radix);
    before *= radix;
  }
  for (size_t i = 0; i < passes_.size(); ++i) {
    passes_[i].twiddles = numbers_.data() + places[2 * i];
    passes_[i].roots = numbers_.data() + places[2 * i + 1];
  }
}

template <class Value>
void FourierLines<Value>::columns(const Planes<Value>& image, int64_t begin, int64_t end) const {
  Complex<Value>* work = workspace<Value>(2 * n_);
  const Job<Value> job{passes_.data(), static_cast<int64_t>(passes_.size()), n_, image, begin, end, work,
                       work + n_};
  vectorised<all_columns<Value>>(&job);
}

template <class Value>
void FourierLines<Value>::rows(const Planes<Value>& image, int64_t begin, int64_t end) const {
  Complex<Value>* work = workspace<Value>(2 * n_);
  const Job<Value> job{passes_.data(), static_cast<int64_t>(passes_.size()), n_, image, begin, end, work,
                       work + n_};
  vectorised<all_rows<Value>>(&job);
}

template class FourierLines<float>;
template class FourierLines<double>;

int64_t fast_fourier_length(int64_t n) {
  for (;; ++n) {
    int64_t rest = n;
    for (const int64_t p : {2, 3, 5}) {
      while (rest % p == 0) rest /= p;
    }
    if (rest == 1) return n;
  }
}

}  // namespace tweedie
