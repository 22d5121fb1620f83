// DumpTasks: the tasks of a backend as text, for people.
//
//   std::cerr << weft::DumpTasks(io);
//
//   weft: 2 tasks of evented
//   task 1 'main' on worker 0: runs
//       #0 relay+0x1a2b4 relay::Serve()+0x34
//   ...
//     task 2 'reader' (relay.cc:42) on worker 1: waits: recv of descriptor 7,
//     for 1.2s, at most 800ms more
//
// A task stands below the one that spawned it, to a depth of 20; below that the
// line names the other one. It "waits", is "ready", "runs" or has "not
// started". A place in a backtrace is a file and what addr2line(1) takes for
// it: `addr2line -Cfipe relay 0x1a2b4`; the name of a function is there if the
// dynamic symbol table has it.
//
// docs/debugging.md has more, also on the dump at a signal.
#ifndef WEFT_RUNTIME_TASK_DUMP_H_
#define WEFT_RUNTIME_TASK_DUMP_H_

#include <string>

namespace weft {

class Io;

// Lists all tasks of `io` that have been started and have not ended, while they
// run. How long a task has waited is right to a turn of its worker.
//
// Any thread for a Threaded and an Evented, on a task or not; only a task of
// it for a Sim. Blocks the calling thread while the workers of an Evented
// answer, each between two turns, and gives up on those that have not after
// two seconds: the tasks of such a worker have no backtraces. Tasks of a
// Threaded have them only with the option dump_signal, but for the caller's.
std::string DumpTasks(Io& io);

}  // namespace weft

#endif  // WEFT_RUNTIME_TASK_DUMP_H_
