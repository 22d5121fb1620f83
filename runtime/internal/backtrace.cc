#include "weft/runtime/internal/backtrace.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unwind.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace weft::internal {
namespace {

struct Walk {
  Backtrace& backtrace;
  uintptr_t stack;
  uintptr_t until;
};

_Unwind_Reason_Code Visit(_Unwind_Context* frame, void* argument) {
  const Walk& walk = *static_cast<const Walk*>(argument);
  const uintptr_t at = _Unwind_GetCFA(frame);
  if (at >= walk.stack && at <= walk.until) return _URC_NO_REASON;
  int is_exact = 0;
  const uintptr_t address = _Unwind_GetIPInfo(frame, &is_exact);
  if (address == 0) return _URC_END_OF_STACK;
  Backtrace& backtrace = walk.backtrace;
  if (backtrace.size == Backtrace::kMost) {
    backtrace.cut = true;
    return _URC_END_OF_STACK;
  }
  // A return address may belong to the next line, or to the next function.
  backtrace.frames[backtrace.size++] = is_exact ? address : address - 1;
  return _URC_NO_REASON;
}

std::string Demangle(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return text == nullptr ? name : text.get();
}

std::string Name(uintptr_t address) {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(address), &info) == 0) {
    return absl::StrCat("0x", absl::Hex(address));
  }
  const std::string_view file(info.dli_fname);
  const std::string_view base = file.substr(file.rfind('/') + 1);
  const auto begin = reinterpret_cast<uintptr_t>(info.dli_fbase);
  // In a program that is not position-independent, addresses are absolute.
  const bool is_absolute =
      static_cast<const ElfW(Ehdr)*>(info.dli_fbase)->e_type == ET_EXEC;
  std::string text =
      absl::StrCat(absl::string_view(base.data(), base.size()), "+0x",
                   absl::Hex(is_absolute ? address : address - begin));
  if (info.dli_sname != nullptr) {
    absl::StrAppend(
        &text, " ", Demangle(info.dli_sname), "+0x",
        absl::Hex(address - reinterpret_cast<uintptr_t>(info.dli_saddr)));
  }
  return text;
}

}  // namespace

void TakeBacktrace(Backtrace& backtrace, const FramesToSkip& skip) {
  backtrace.size = 0;
  backtrace.cut = false;
  Walk walk{backtrace, reinterpret_cast<uintptr_t>(skip.stack),
            reinterpret_cast<uintptr_t>(skip.until)};
  // Not backtrace(3), which allocates when it is first called.
  _Unwind_Backtrace(&Visit, &walk);
}

const std::string& Symbolizer::Describe(uintptr_t address) {
  const auto [place, is_new] = known_.try_emplace(address);
  if (is_new) place->second = Name(address);
  return place->second;
}

}  // namespace weft::internal
