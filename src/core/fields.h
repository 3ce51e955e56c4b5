#pragma once
// One table of fields per options struct serves the parser, --help and the resolved config. A struct
// states it once, as a free function beside it that argument-dependent lookup finds:
//
//   void fields(FieldVisitor& visit, DdimOptions& o) {
//     visit(o.steps, {"steps", "number of steps", {.min = 1}});
//     visit(o.eta, {"eta", "0: ODE, 1: ancestral", {.min = 0, .max = 1}});
//   }
//
// A member is a bool, double, int64_t, uint64_t, string, path, enum, vector<double | int64_t | string>;
// another struct with fields(), which becomes a sub-table; a vector of such structs, an array of tables; a
// variant of such structs, a sub-table whose key `kind` names the alternative's `static constexpr const char*
// kind`; or an optional of any of these. An enum's names come from
//   constexpr auto names(Target) { return std::array{"noise", "data"}; }   // in the order 0, 1, ...

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace tweedie {

// What a value must keep to; for a list, each of its elements.
struct FieldRule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false;  // min itself is excluded
  bool open_max = false;
  bool required = false;  // there is no default
};

struct FieldInfo {
  const char* name;
  const char* help = "";
  FieldRule rule = {};
};

// An enum on its way through a visitor.
struct FieldChoice {
  std::span<const char* const> names;
  size_t index;
};

using FieldRef =
    std::variant<bool*, double*, int64_t*, uint64_t*, std::string*, std::filesystem::path*,
                 std::vector<double>*, std::vector<int64_t>*, std::vector<std::string>*, FieldChoice*>;

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  template <class T>
  void operator()(T& member, const FieldInfo& info) {
    if constexpr (std::is_enum_v<T>) {
      static constexpr auto table = names(T{});
      FieldChoice choice{table, static_cast<size_t>(member)};
      value(&choice, info);
      member = static_cast<T>(choice.index);
    } else if constexpr (std::is_constructible_v<FieldRef, T*>) {
      value(&member, info);
    } else {
      enter_table(info);
      flatten(member, {"kind", info.help, {.required = info.rule.required}});
      leave_table();
    }
  }

  template <class T>
  requires(!std::is_constructible_v<FieldRef, std::vector<T>*>) void operator()(std::vector<T>& member,
                                                                                const FieldInfo& info) {
    member.resize(enter_list(member.size(), info));
    for (size_t i = 0; i < member.size(); ++i) {
      enter_item(info, i);
      flatten(member[i]);
      leave_item();
    }
  }

  template <class T>
  void operator()(std::optional<T>& member, const FieldInfo& info) {
    if (!enter_optional(member.has_value(), info)) return;
    if (!member) member.emplace();
    (*this)(*member, info);
  }

  // The member's own fields, in the table of the struct around it. For a variant `kind` is the key that
  // chooses.
  template <class T>
  void flatten(T& member, const FieldInfo& = {""}) {
    fields(*this, member);
  }

  template <class... Ts>
  void flatten(std::variant<Ts...>& member, const FieldInfo& kind = {"kind", "which of them"}) {
    static constexpr std::array<const char*, sizeof...(Ts)> kinds{Ts::kind...};
    const size_t current = member.index(), chosen = choose(kinds, current, kind);
    const auto visit_alternative = [&]<class T>(std::type_identity<T>, size_t index) {
      if (chosen != index && chosen != every_kind) return;
      if (member.index() != index) member.template emplace<T>();
      enter_kind(kind, kinds[index]);
      flatten(std::get<T>(member));
      leave_kind();
    };
    size_t index = 0;
    (visit_alternative(std::type_identity<Ts>{}, index++), ...);
  }

 protected:
  static constexpr size_t every_kind = std::numeric_limits<size_t>::max();

  virtual void value(FieldRef ref, const FieldInfo& info) = 0;
  virtual void enter_table(const FieldInfo& info) = 0;
  virtual void leave_table() = 0;
  // How many tables an array of them has, given how many there are; then each of them.
  virtual size_t enter_list(size_t size, const FieldInfo& info) = 0;
  virtual void enter_item(const FieldInfo& info, size_t index) = 0;
  virtual void leave_item() = 0;
  // Whether to visit an optional member, given whether it is set.
  virtual bool enter_optional(bool set, const FieldInfo& info) = 0;
  // The alternative of a variant to visit, or every_kind.
  virtual size_t choose(std::span<const char* const> kinds, size_t current, const FieldInfo& info) = 0;
  virtual void enter_kind(const FieldInfo& /*key*/, const char* /*kind*/) {}
  virtual void leave_kind() {}
};

}  // namespace tweedie
