// ConstBytes and MutableBytes: what socket calls take as data. Text and bytes
// in any form convert to them; neither owns anything.
//
//   stream.WriteAll(io, "hello\n");
//   stream.WriteAll(io, std::span(buffer).first(n));
//   const net::ConstBytes reply[] = {header, body};
//   stream.WriteAllVector(io, reply);
#ifndef WEFT_NET_BYTES_H_
#define WEFT_NET_BYTES_H_

#include <concepts>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <type_traits>

namespace weft::net {
namespace internal {

template <class T>
concept ByteLike = std::same_as<T, char> || std::same_as<T, unsigned char> ||
    std::same_as<T, std::byte>;

template <class T>
concept Text = std::convertible_to<const T&, std::string_view>;

// Contiguous bytes: std::span, std::array, std::vector, arrays ...
template <class T>
concept ByteRange = requires(T& range) {
  { std::size(range) } -> std::convertible_to<size_t>;
  requires ByteLike<std::remove_cvref_t<decltype(*std::data(range))>>;
};

template <class T>
concept NonText = ByteRange<T> && !Text<T>;

template <class T>
concept MutableByteRange = ByteRange<T> && requires(T& range) {
  requires !std::is_const_v<
      std::remove_reference_t<decltype(*std::data(range))>>;
};

}  // namespace internal

// Bytes to be sent. As with std::string_view, they must outlive the call.
class ConstBytes {
 public:
  constexpr ConstBytes() = default;
  constexpr ConstBytes(const void* data, size_t size)
      : data_(data), size_(size) {}

  // Text up to its end; a string literal without the final zero.
  template <internal::Text T>
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr ConstBytes(const T& text) {
    const std::string_view view = text;
    data_ = view.data();
    size_ = view.size();
  }

  template <internal::NonText T>
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr ConstBytes(const T& range)
      : data_(std::data(range)), size_(std::size(range)) {}

  // A buffer is not text: nobody knows how much of it is filled. Say
  // std::span(buffer).first(n).
  template <size_t N>
  ConstBytes(char (&buffer)[N]) = delete;

  constexpr const void* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }

  // What is left after the first `count` bytes; `count` is at most size().
  constexpr ConstBytes Skip(size_t count) const {
    return {static_cast<const std::byte*>(data_) + count, size_ - count};
  }

 private:
  const void* data_ = nullptr;
  size_t size_ = 0;
};

// Room for bytes to be received: all of an array, a span, a std::string or a
// std::vector at its current size.
class MutableBytes {
 public:
  constexpr MutableBytes() = default;
  constexpr MutableBytes(void* data, size_t size) : data_(data), size_(size) {}

  // Binds to temporaries too, for the sake of std::span.
  template <internal::MutableByteRange T>
  // NOLINTNEXTLINE(*-explicit-constructor,*-forwarding-reference-overload)
  constexpr MutableBytes(T&& range)
      : data_(std::data(range)), size_(std::size(range)) {}

  constexpr void* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }

  // What is left after the first `count` bytes; `count` is at most size().
  constexpr MutableBytes Skip(size_t count) const {
    return {static_cast<std::byte*>(data_) + count, size_ - count};
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weft::net

#endif  // WEFT_NET_BYTES_H_
