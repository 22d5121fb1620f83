// What a plugin with weft in it offers its host program.
#ifndef WEFT_TESTS_EMBEDDED_PLUGIN_H_
#define WEFT_TESTS_EMBEDDED_PLUGIN_H_

extern "C" {

// Runs `tasks` tasks on backends of its own, one of each kind, each of which
// sleeps and counts; returns the sum of the counts, or -1 for an error.
using PluginRun = int(int tasks);

// Keeps an Evented with report_overflow alive, until called with false.
using PluginKeep = void(bool keep);

// Uses `evented`, a weft::Evented of the host, in a task of it: spawns a task
// there and awaits it. Only for a plugin that shares libweft with its host.
using PluginUse = int(void* evented);
}

#endif  // WEFT_TESTS_EMBEDDED_PLUGIN_H_
