#include "weft/runtime/status.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cerrno>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using absl::StatusCode;

constexpr int kLargestErrno = 133;  // EHWPOISON

// The whole table, by code; everything else is UNKNOWN.
const std::map<int, StatusCode>& ExpectedCodes() {
  static const auto& codes = *new std::map<int, StatusCode>([] {
    std::map<int, StatusCode> filled;
    const auto add = [&](StatusCode code, std::initializer_list<int> errors) {
      for (const int error : errors) {
        EXPECT_TRUE(filled.emplace(error, code).second) << error;
      }
    };
    add(StatusCode::kAlreadyExists, {EADDRINUSE, EEXIST});
    add(StatusCode::kCancelled, {ECANCELED});
    add(StatusCode::kDataLoss, {EIO});
    add(StatusCode::kDeadlineExceeded, {ETIME});
    add(StatusCode::kFailedPrecondition,
        {EALREADY, EBADF, EISCONN, EISDIR, ELOOP, ENOTCONN, ENOTDIR, EROFS,
         ESHUTDOWN});
    add(StatusCode::kInvalidArgument,
        {EAFNOSUPPORT, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENAMETOOLONG,
         ENOTSOCK, ESPIPE});
    add(StatusCode::kNotFound, {ENODEV, ENOENT});
    add(StatusCode::kOutOfRange, {EFBIG});
    add(StatusCode::kPermissionDenied, {EACCES, EPERM});
    add(StatusCode::kResourceExhausted,
        {EDQUOT, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC});
    add(StatusCode::kUnavailable,
        {EADDRNOTAVAIL, EBUSY, ECONNABORTED, ECONNREFUSED, ECONNRESET,
         EHOSTUNREACH, ENETDOWN, ENETRESET, ENETUNREACH, EPIPE, ETIMEDOUT,
         ETXTBSY});
    add(StatusCode::kUnimplemented,
        {ENOPROTOOPT, ENOSYS, EOPNOTSUPP, EPROTONOSUPPORT});
    return filled;
  }());
  return codes;
}

TEST(StatusTest, EveryErrnoHasItsCode) {
  for (int error = 1; error <= kLargestErrno; ++error) {
    const auto found = ExpectedCodes().find(error);
    EXPECT_EQ(ErrnoStatus(error, "x").code(), found == ExpectedCodes().end()
                                                  ? StatusCode::kUnknown
                                                  : found->second)
        << strerrordesc_np(error);
  }
}

TEST(StatusTest, MessageIsSubjectColonLowerCaseTextWithoutFullStop) {
  for (int error = 1; error <= kLargestErrno; ++error) {
    const std::string message(ErrnoStatus(error, "open /X").message());
    SCOPED_TRACE(message);
    ASSERT_TRUE(absl::StartsWith(message, "open /X: "));
    const std::string text = message.substr(sizeof("open /X: ") - 1);
    ASSERT_FALSE(text.empty());
    for (const char c : text) {
      EXPECT_FALSE(std::isupper(static_cast<unsigned char>(c)));
    }
    EXPECT_NE(text.back(), '.');
    EXPECT_NE(text.back(), ' ');
  }
}

TEST(StatusTest, EveryTextIsDifferent) {
  std::map<std::string, int> seen;
  for (int error = 1; error <= kLargestErrno; ++error) {
    if (error == EWOULDBLOCK || error == EDEADLOCK) continue;
    const std::string message(ErrnoStatus(error, "x").message());
    EXPECT_TRUE(seen.emplace(message, error).second) << message;
  }
}

TEST(StatusTest, ErrnoCanBeReadBack) {
  for (int error = 1; error <= kLargestErrno; ++error) {
    EXPECT_EQ(Errno(ErrnoStatus(error, "x")), error);
  }
}

TEST(StatusTest, MessageOfConnectionRefusedReadsAsDocumented) {
  const absl::Status status = ErrnoStatus(ECONNREFUSED, "connect 127.0.0.1:80");
  EXPECT_EQ(status.message(), "connect 127.0.0.1:80: connection refused");
}

TEST(StatusTest, UnknownErrnoKeepsItsNumber) {
  const absl::Status status = ErrnoStatus(4095, "frob");
  EXPECT_EQ(status.code(), StatusCode::kUnknown);
  EXPECT_EQ(status.message(), "frob: unknown error 4095");
  EXPECT_EQ(Errno(status), 4095);
}

TEST(StatusTest, ZeroIsOk) { EXPECT_TRUE(ErrnoStatus(0, "x").ok()); }

TEST(StatusTest, StatusesMadeOtherwiseHaveNoErrno) {
  EXPECT_EQ(Errno(absl::OkStatus()), 0);
  EXPECT_EQ(Errno(absl::UnavailableError("x: connection refused")), 0);
}

TEST(StatusTest, TimedOutConnectionIsNotDeadlineExceeded) {
  EXPECT_EQ(ErrnoStatus(ETIMEDOUT, "connect x").code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(ErrnoStatus(ETIME, "connect x").code(),
            StatusCode::kDeadlineExceeded);
}

TEST(StatusTest, ResultsBelowZeroAreErrors) {
  EXPECT_TRUE(internal::ResultStatus(0, "x").ok());
  EXPECT_TRUE(internal::ResultStatus(4096, "x").ok());
  const absl::Status status = internal::ResultStatus(-ENOSPC, "write f");
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "write f: no space left on device");
  EXPECT_EQ(internal::ResultStatus(-ECANCELED, "x").code(),
            StatusCode::kCancelled);
  EXPECT_EQ(internal::ResultStatus(-ETIME, "x").code(),
            StatusCode::kDeadlineExceeded);
}

TEST(StatusTest, InterruptionsHaveTheirResults) {
  using internal::InterruptionResult;
  using internal::InterruptionStatus;
  EXPECT_EQ(InterruptionResult(Interruption::kNone), 0);
  EXPECT_EQ(InterruptionResult(Interruption::kCancelled), -ECANCELED);
  EXPECT_EQ(InterruptionResult(Interruption::kDeadline), -ETIME);
  EXPECT_TRUE(InterruptionStatus(Interruption::kNone, "x").ok());
  EXPECT_EQ(InterruptionStatus(Interruption::kCancelled, "sleep").ToString(),
            ErrnoStatus(ECANCELED, "sleep").ToString());
  EXPECT_EQ(InterruptionStatus(Interruption::kDeadline, "sleep").ToString(),
            ErrnoStatus(ETIME, "sleep").ToString());
}

}  // namespace
}  // namespace weft
