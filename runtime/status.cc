#include "weft/runtime/status.h"

#include <cerrno>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr char kErrnoPayload[] = "weft/errno";

struct Row {
  int error;
  absl::StatusCode code;
  const char* text;
};

using absl::StatusCode;

// Every error that an operation of weft is known to return. UNAVAILABLE:
// trying again later may help. RESOURCE_EXHAUSTED: a limit of this process or
// machine. FAILED_PRECONDITION: the object is in the wrong state.
constexpr Row kRows[] = {
    {EACCES, StatusCode::kPermissionDenied, "permission denied"},
    {EADDRINUSE, StatusCode::kAlreadyExists, "address already in use"},
    {EADDRNOTAVAIL, StatusCode::kUnavailable, "address not available"},
    {EAFNOSUPPORT, StatusCode::kInvalidArgument,
     "address family not supported"},
    {EALREADY, StatusCode::kFailedPrecondition,
     "connection already in progress"},
    {EBADF, StatusCode::kFailedPrecondition, "descriptor is not open"},
    {EBUSY, StatusCode::kUnavailable, "busy"},
    {ECANCELED, StatusCode::kCancelled, "cancelled"},
    {ECONNABORTED, StatusCode::kUnavailable, "connection aborted"},
    {ECONNREFUSED, StatusCode::kUnavailable, "connection refused"},
    {ECONNRESET, StatusCode::kUnavailable, "connection reset by peer"},
    {EDESTADDRREQ, StatusCode::kInvalidArgument,
     "destination address required"},
    {EDQUOT, StatusCode::kResourceExhausted, "disk quota exceeded"},
    {EEXIST, StatusCode::kAlreadyExists, "file exists"},
    {EFAULT, StatusCode::kInvalidArgument, "bad memory address"},
    {EFBIG, StatusCode::kOutOfRange, "file too large"},
    {EHOSTUNREACH, StatusCode::kUnavailable, "no route to host"},
    {EINVAL, StatusCode::kInvalidArgument, "invalid argument"},
    {EIO, StatusCode::kDataLoss, "input/output error"},
    {EISCONN, StatusCode::kFailedPrecondition, "already connected"},
    {EISDIR, StatusCode::kFailedPrecondition, "is a directory"},
    {ELOOP, StatusCode::kFailedPrecondition, "too many symbolic links"},
    {EMFILE, StatusCode::kResourceExhausted,
     "too many open files in this process"},
    {EMSGSIZE, StatusCode::kInvalidArgument, "message too long"},
    {ENAMETOOLONG, StatusCode::kInvalidArgument, "name too long"},
    {ENETDOWN, StatusCode::kUnavailable, "network is down"},
    {ENETRESET, StatusCode::kUnavailable, "connection reset by network"},
    {ENETUNREACH, StatusCode::kUnavailable, "network is unreachable"},
    {ENFILE, StatusCode::kResourceExhausted,
     "too many open files in the system"},
    {ENOBUFS, StatusCode::kResourceExhausted, "no buffer space"},
    {ENODEV, StatusCode::kNotFound, "no such device"},
    {ENOENT, StatusCode::kNotFound, "no such file or directory"},
    {ENOMEM, StatusCode::kResourceExhausted, "out of memory"},
    {ENOPROTOOPT, StatusCode::kUnimplemented, "option not supported"},
    {ENOSPC, StatusCode::kResourceExhausted, "no space left on device"},
    {ENOSYS, StatusCode::kUnimplemented, "not supported by this kernel"},
    {ENOTCONN, StatusCode::kFailedPrecondition, "not connected"},
    {ENOTDIR, StatusCode::kFailedPrecondition, "not a directory"},
    {ENOTSOCK, StatusCode::kInvalidArgument, "not a socket"},
    {EOPNOTSUPP, StatusCode::kUnimplemented, "operation not supported"},
    {EPERM, StatusCode::kPermissionDenied, "operation not permitted"},
    {EPIPE, StatusCode::kUnavailable, "connection closed for writing"},
    {EPROTONOSUPPORT, StatusCode::kUnimplemented, "protocol not supported"},
    {EROFS, StatusCode::kFailedPrecondition, "read-only file system"},
    {ESPIPE, StatusCode::kInvalidArgument, "descriptor cannot seek"},
    {ESHUTDOWN, StatusCode::kFailedPrecondition, "closed by this side"},
    {ETIME, StatusCode::kDeadlineExceeded, "deadline exceeded"},
    {ETIMEDOUT, StatusCode::kUnavailable, "connection timed out"},
    {ETXTBSY, StatusCode::kUnavailable, "file is being executed"},
};

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what) {
  if (error == 0) return absl::OkStatus();
  const absl::string_view subject(what.data(), what.size());
  absl::Status status =
      absl::UnknownError(absl::StrCat(subject, ": unknown error ", error));
  for (const Row& row : kRows) {
    if (row.error == error) {
      status = absl::Status(row.code, absl::StrCat(subject, ": ", row.text));
      break;
    }
  }
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

int Errno(const absl::Status& status) {
  int error = 0;
  const auto payload = status.GetPayload(kErrnoPayload);
  if (!payload.has_value() ||
      !absl::SimpleAtoi(std::string(*payload), &error)) {
    return 0;
  }
  return error;
}

namespace internal {

absl::Status ResultStatus(int64_t result, std::string_view what) {
  return ErrnoStatus(result < 0 ? static_cast<int>(-result) : 0, what);
}

absl::Status InterruptionStatus(Interruption interruption,
                                std::string_view what) {
  return ResultStatus(InterruptionResult(interruption), what);
}

int64_t InterruptionResult(Interruption interruption) {
  switch (interruption) {
    case Interruption::kNone:
      return 0;
    case Interruption::kCancelled:
      return -ECANCELED;
    case Interruption::kDeadline:
      return -ETIME;
  }
  return 0;
}

}  // namespace internal
}  // namespace weft
