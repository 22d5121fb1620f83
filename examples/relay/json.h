// JsonObject: one line of JSON, made key by key.
//
//   JsonObject figures;
//   figures.Add("backend", "evented").Add("threads", 3);
//   figures.text();  // {"backend": "evented", "threads": 3}
#ifndef WEFT_EXAMPLES_RELAY_JSON_H_
#define WEFT_EXAMPLES_RELAY_JSON_H_

#include <concepts>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace relay {

class JsonObject {
 public:
  // Keys and text are plain words: nothing is escaped.
  JsonObject& Add(const char* key, const std::string& text) {
    return AddRaw(key, absl::StrCat("\"", text, "\""));
  }
  JsonObject& Add(const char* key, const char* text) {
    return Add(key, std::string(text));
  }
  JsonObject& Add(const char* key, bool value) {
    return AddRaw(key, value ? "true" : "false");
  }
  template <std::integral T>
  JsonObject& Add(const char* key, T value) {
    return AddRaw(key, absl::StrCat(value));
  }
  JsonObject& Add(const char* key, double value) {
    return AddRaw(key, absl::StrFormat("%.12g", value));
  }
  template <std::integral T>
  JsonObject& Add(const char* key, const std::vector<T>& values) {
    return AddRaw(key, absl::StrCat("[", absl::StrJoin(values, ", "), "]"));
  }
  JsonObject& Add(const char* key, const JsonObject& value) {
    return AddRaw(key, value.text());
  }

  std::string text() const { return absl::StrCat("{", members_, "}"); }

 private:
  JsonObject& AddRaw(const char* key, const std::string& value) {
    absl::StrAppend(&members_, members_.empty() ? "" : ", ", "\"", key,
                    "\": ", value);
    return *this;
  }

  std::string members_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_JSON_H_
