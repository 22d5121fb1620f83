#include "weft/examples/relay/health.h"

#include <array>
#include <chrono>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/runtime/scope.h"

namespace relay {
namespace {

constexpr weft::Duration kPatience = std::chrono::seconds(2);
constexpr size_t kMostRequest = 4096;

// Reads up to the empty line that ends the head of a request.
absl::StatusOr<std::string> ReadHead(weft::Io& io,
                                     weft::net::TcpStream& stream) {
  std::string head;
  std::array<char, 1024> buffer;
  while (head.find("\r\n\r\n") == std::string::npos) {
    const absl::StatusOr<size_t> count = stream.Read(io, buffer);
    if (!count.ok()) return count.status();
    if (*count == 0 || head.size() + *count > kMostRequest) {
      return absl::InvalidArgumentError("not a request");
    }
    head.append(buffer.data(), *count);
  }
  return head;
}

std::string Response(std::string_view status, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", std::string(status),
                      "\r\nContent-Type: application/json\r\nContent-Length: ",
                      body.size(), "\r\nConnection: close\r\n\r\n", body);
}

}  // namespace

absl::Status AnswerHealth(weft::Io& io, weft::net::TcpStream& stream,
                          const std::function<std::string()>& report) {
  const weft::Deadline deadline(io, kPatience);
  const absl::StatusOr<std::string> head = ReadHead(io, stream);
  if (!head.ok()) return head.status();
  const bool known = head->starts_with("GET /health ");
  return stream.WriteAll(io, known ? Response("200 OK", report() + "\n")
                                   : Response("404 Not Found", "{}\n"));
}

}  // namespace relay
