// The compile-time wall between backends (docs/crossing.md).
//
// A primitive names its backend as `using OwnerBackend = B;`. Everything that
// takes an Io or an argument for a task checks against that here, so that the
// compiler's message is the same everywhere and names both backends.
#ifndef WEFT_RUNTIME_INTERNAL_WALL_H_
#define WEFT_RUNTIME_INTERNAL_WALL_H_

#include <cstddef>
#include <type_traits>

#include "weft/runtime/io.h"

namespace weft::internal {

template <class... Ts>
struct Types {};

template <class... Lists>
struct Join;
template <class... Ts>
struct Join<Types<Ts...>> {
  using type = Types<Ts...>;
};
template <class... Ts, class... Us, class... Rest>
struct Join<Types<Ts...>, Types<Us...>, Rest...>
    : Join<Types<Ts..., Us...>, Rest...> {};

// The backends that values of T belong to. Looks through pointers, references,
// arrays and the arguments of class templates, so that Mutex<B>*,
// std::shared_ptr<Mutex<B>> and std::reference_wrapper<B> are seen.
template <class T>
struct OwnersOf;

template <class T>
using OwnersOfT = typename OwnersOf<std::remove_cvref_t<T>>::type;

template <class T>
struct OwnersOfArguments {
  using type = Types<>;
};
template <template <class...> class Template, class... Arguments>
struct OwnersOfArguments<Template<Arguments...>>
    : Join<Types<>, OwnersOfT<Arguments>...> {};
template <template <class, size_t> class Template, class T, size_t n>
struct OwnersOfArguments<Template<T, n>> {  // std::array, std::span
  using type = OwnersOfT<T>;
};

template <class T>
concept Primitive = requires {
  typename T::OwnerBackend;
};
template <class T>
concept CompleteBackend = requires {
  sizeof(T);
}
&&Backend<T>;

template <class T>
struct OwnersOf : OwnersOfArguments<T> {};
template <Primitive T>
struct OwnersOf<T> {
  using type = Types<typename T::OwnerBackend>;
};
template <CompleteBackend T>
struct OwnersOf<T> {
  using type = Types<T>;
};
template <class T>
struct OwnersOf<T*> : OwnersOf<std::remove_cv_t<T>> {};
template <class T, size_t n>
struct OwnersOf<T[n]> : OwnersOf<std::remove_cv_t<T>> {};

// Instantiated with the two backends in question, so that the compiler prints
// both names next to the message.
template <class PrimitiveOf, class UsedWith>
struct NoCrossing {
  static_assert(std::is_same_v<PrimitiveOf, UsedWith> ||
                    !std::is_same_v<UsedWith, Io>,
                "weft: a primitive that belongs to a backend was given a plain "
                "Io&, which does not say its backend. Make the function a "
                "template on the backend; see docs/crossing.md");
  static_assert(std::is_same_v<PrimitiveOf, UsedWith> ||
                    std::is_same_v<UsedWith, Io>,
                "weft: a primitive of one backend was used with the Io of "
                "another backend. Give it the Io of its own backend; how to "
                "cross on purpose is in docs/crossing.md");
  static constexpr bool value = true;
};

template <class TaskOf, class ArgumentOf>
struct NoForeignArgument {
  static_assert(std::is_same_v<TaskOf, Io> ||
                    std::is_same_v<TaskOf, ArgumentOf>,
                "weft: a task or a channel of one backend was given something "
                "that belongs to another backend; how to cross on purpose is "
                "in docs/crossing.md");
  static constexpr bool value = true;
};

template <class B, class Owners>
struct NoForeignOwner;
template <class B, class... Owners>
struct NoForeignOwner<B, Types<Owners...>> {
  static constexpr bool value = (NoForeignArgument<B, Owners>::value && ...);
};

// Fails to compile unless an Io of type `Given` may use a primitive of B.
template <class B, class Given>
constexpr void RequireSameBackend() {
  static_assert(NoCrossing<B, std::remove_cv_t<Given>>::value);
}

// Fails to compile if one of the arguments belongs to another backend than B.
template <class B, class... Arguments>
constexpr void RefuseForeignArguments() {
  static_assert((NoForeignOwner<B, OwnersOfT<Arguments>>::value && ...));
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_WALL_H_
