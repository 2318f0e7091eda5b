// Streams, events and graphs.
//
// A stream is a queue of work with numbers. Normally work runs when it is submitted. In lazy mode it
// runs when somebody waits: then only what that wait must have, in the order the rules ask for.
#include <ctime>

#include <algorithm>

#include "driver.h"

namespace emulator {
namespace {

std::map<CUstream, std::shared_ptr<Stream>> streams;
std::shared_ptr<Stream> null_stream[16];
struct Event {
  std::shared_ptr<Stream> stream;
  unsigned long number = 0;
  std::shared_ptr<double> time;  // milliseconds, when the record has run
  std::shared_ptr<Graph> captured;
};
std::map<CUevent, Event> events;
std::map<CUgraph, std::shared_ptr<Graph>> graphs;
std::map<CUgraphExec, std::shared_ptr<Graph>> executables;
unsigned long next_handle = 0x51000;

template <class Handle> Handle fresh() { return reinterpret_cast<Handle>(next_handle += 16); }

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

unsigned long this_thread() {
  static thread_local char mark;
  return reinterpret_cast<unsigned long>(&mark);
}

void run_until(Stream &s, unsigned long number) {
  while (s.done < number && !s.queue.empty()) {
    Stream::Op op = std::move(s.queue.front());
    s.queue.pop_front();
    for (auto &[other, n] : op.after) run_until(*other, n);
    s.done = op.number;
    if (ready() == CUDA_SUCCESS) op.work();  // after a fault nothing more is done
  }
}
void drain(Stream &s) { run_until(s, s.last); }

std::shared_ptr<Stream> null_of(int device) {
  auto &s = null_stream[device];
  if (!s) {
    s = std::make_shared<Stream>();
    s->device = device;
    s->blocking = s->null = true;
  }
  return s;
}

void add(const std::shared_ptr<Stream> &s, Work work,
         std::vector<std::pair<std::shared_ptr<Stream>, unsigned long>> after = {}) {
  // the null stream and the blocking streams wait for each other
  if (s->null) {
    for (auto &[handle, other] : streams)
      if (other->blocking && other->device == s->device && other->done < other->last) after.emplace_back(other, other->last);
  } else if (s->blocking) {
    auto n = null_of(s->device);
    if (n->done < n->last) after.emplace_back(n, n->last);
  }
  s->queue.push_back({++s->last, std::move(work), std::move(after)});
  if (!settings.lazy) drain(*s);
}

// The capture that a call on this stream would break.
std::shared_ptr<Graph> capture_against(const Stream &s) {
  if (s.capture) return s.capture;
  if (s.null)
    for (auto &[handle, other] : streams)
      if (other->capture && other->blocking) return other->capture;
  return nullptr;
}

CUresult break_capture(Graph &g, CUresult with) {
  g.broken = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  return with;
}

}  // namespace

std::shared_ptr<Stream> stream_of(CUstream handle) {
  if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD)
    return current_device() < 0 ? nullptr : null_of(current_device());
  auto it = streams.find(handle);
  return it == streams.end() ? nullptr : it->second;
}

CUresult submit(CUstream handle, Work work, const char *kind) {
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (s->device != current_device()) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) {
    if (s->capture->broken) return s->capture->broken;
    s->capture->work.push_back(std::move(work));
    s->capture->kinds.emplace_back(kind);
    return CUDA_SUCCESS;
  }
  if (auto g = capture_against(*s)) return break_capture(*g, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  add(s, std::move(work));
  return CUDA_SUCCESS;
}

CUresult run_now(Work work) {
  if (CUresult rc = submit(nullptr, std::move(work))) return rc;
  drain(*null_of(current_device()));
  return ready();
}

void drain_all() {
  // the newest stream first: none of them may count on the order of creation
  std::vector<std::shared_ptr<Stream>> all;
  for (auto &[handle, s] : streams) all.push_back(s);
  std::reverse(all.begin(), all.end());
  for (auto &s : all) drain(*s);
  for (auto &s : null_stream)
    if (s) drain(*s);
}

CUresult not_while_capturing() {
  for (auto &[handle, s] : streams) {
    if (!s->capture) continue;
    Graph &g = *s->capture;
    if (g.mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
        (g.mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && g.owner_thread == this_thread()))
      return break_capture(g, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  }
  return CUDA_SUCCESS;
}

}  // namespace emulator

using namespace emulator;

API cuCtxSynchronize(void) {
  ENTER_CONTEXT;
  if (CUresult rc = not_while_capturing()) return rc;
  for (auto &[handle, s] : streams)
    if (s->device == current_device()) drain(*s);
  drain(*null_of(current_device()));
  return ready();
}

// --- streams -----------------------------------------------------------------------------------

API cuStreamCreateWithPriority(CUstream *out, unsigned flags, int) {
  ENTER_CONTEXT;
  auto s = std::make_shared<Stream>();
  s->device = current_device();
  s->blocking = !(flags & CU_STREAM_NON_BLOCKING);
  streams[*out = fresh<CUstream>()] = s;
  return CUDA_SUCCESS;
}
API cuStreamCreate(CUstream *out, unsigned flags) { return cuStreamCreateWithPriority(out, flags, 0); }
API cuStreamDestroy_v2(CUstream handle) {
  ENTER;
  auto s = streams.find(handle);
  if (s == streams.end()) return CUDA_ERROR_INVALID_HANDLE;
  drain(*s->second);
  streams.erase(handle);
  return ready();
}
API cuStreamGetPriority(CUstream, int *p) { ENTER_CONTEXT; *p = 0; return CUDA_SUCCESS; }
API cuStreamGetFlags(CUstream handle, unsigned *flags) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  *flags = s->blocking ? 0 : CU_STREAM_NON_BLOCKING;
  return CUDA_SUCCESS;
}
API cuStreamSynchronize(CUstream handle) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (auto g = capture_against(*s)) return break_capture(*g, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  drain(*s);
  return ready();
}
API cuStreamQuery(CUstream handle) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (auto g = capture_against(*s)) return break_capture(*g, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  if (s->done == s->last) return CUDA_SUCCESS;
  run_until(*s, s->done + 1);  // who asks again and again gets there
  return CUDA_ERROR_NOT_READY;
}
API cuStreamWaitEvent(CUstream handle, CUevent e, unsigned) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  auto it = events.find(e);
  if (!s || it == events.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (it->second.captured) {  // the stream joins that capture
    if (!s->capture) it->second.captured->joined.push_back(s);
    s->capture = it->second.captured;
    return CUDA_SUCCESS;
  }
  if (s->capture) return it->second.stream ? break_capture(*s->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION) : CUDA_SUCCESS;
  if (it->second.stream) add(s, [] {}, {{it->second.stream, it->second.number}});
  return CUDA_SUCCESS;
}
API cuStreamAttachMemAsync(CUstream, CUdeviceptr, size_t, unsigned) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuLaunchHostFunc(CUstream handle, CUhostFn f, void *data) {
  ENTER_CONTEXT;
  return submit(handle, [=] { f(data); });
}

// --- events ------------------------------------------------------------------------------------

API cuEventCreate(CUevent *out, unsigned) {
  ENTER_CONTEXT;
  events[*out = fresh<CUevent>()] = {};
  return CUDA_SUCCESS;
}
API cuEventDestroy_v2(CUevent e) { ENTER; return events.erase(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
API cuEventRecord(CUevent e, CUstream handle) {
  ENTER_CONTEXT;
  auto it = events.find(e);
  auto s = stream_of(handle);
  if (it == events.end() || !s) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) {
    it->second = {nullptr, 0, nullptr, s->capture};
    return CUDA_SUCCESS;
  }
  auto time = std::make_shared<double>(-1);
  if (CUresult rc = submit(handle, [=] { *time = now(); })) return rc;
  it->second = {s, s->last, time, nullptr};
  return CUDA_SUCCESS;
}
API cuEventQuery(CUevent e) {
  ENTER;
  auto it = events.find(e);
  if (it == events.end()) return CUDA_ERROR_INVALID_HANDLE;
  Event &event = it->second;
  if (event.captured) return CUDA_ERROR_CAPTURED_EVENT;
  if (!event.stream || event.stream->done >= event.number) return CUDA_SUCCESS;
  run_until(*event.stream, event.stream->done + 1);
  return CUDA_ERROR_NOT_READY;
}
API cuEventSynchronize(CUevent e) {
  ENTER;
  auto it = events.find(e);
  if (it == events.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (it->second.captured) return CUDA_ERROR_CAPTURED_EVENT;
  if (it->second.stream) run_until(*it->second.stream, it->second.number);
  return ready();
}
API cuEventElapsedTime_v2(float *ms, CUevent a, CUevent b) {
  ENTER;
  auto from = events.find(a), to = events.find(b);
  if (from == events.end() || to == events.end() || !from->second.time || !to->second.time) return CUDA_ERROR_INVALID_HANDLE;
  if (*from->second.time < 0 || *to->second.time < 0) return CUDA_ERROR_NOT_READY;
  *ms = static_cast<float>(*to->second.time - *from->second.time);
  return CUDA_SUCCESS;
}
API cuEventElapsedTime(float *ms, CUevent a, CUevent b) { return cuEventElapsedTime_v2(ms, a, b); }

// --- capture and graphs ------------------------------------------------------------------------

API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (s->null) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  s->capture = std::make_shared<Graph>();
  s->capture->mode = mode;
  s->capture->owner_thread = this_thread();
  s->capture->origin = s;
  return CUDA_SUCCESS;
}
API cuStreamEndCapture(CUstream handle, CUgraph *out) {
  ENTER_CONTEXT;
  *out = nullptr;
  auto s = stream_of(handle);
  if (!s || !s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  auto g = s->capture;
  if (g->origin.lock() != s) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  s->capture = nullptr;
  for (auto &weak : g->joined)
    if (auto other = weak.lock()) other->capture = nullptr;
  if (g->broken) return g->broken;
  graphs[*out = fresh<CUgraph>()] = g;
  return CUDA_SUCCESS;
}
API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  ENTER_CONTEXT;
  auto s = stream_of(handle);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  *status = !s->capture          ? CU_STREAM_CAPTURE_STATUS_NONE
            : s->capture->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                 : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}
API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *) { ENTER; return CUDA_SUCCESS; }
API cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *n) {
  ENTER;
  auto it = graphs.find(g);
  if (it == graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  if (nodes) return CUDA_ERROR_NOT_SUPPORTED;
  *n = it->second->work.size();
  return CUDA_SUCCESS;
}
API cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph g, unsigned long long) {
  ENTER_CONTEXT;
  auto it = graphs.find(g);
  if (it == graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  counts.instantiated++;
  executables[*out = fresh<CUgraphExec>()] = it->second;
  return CUDA_SUCCESS;
}
API cuGraphExecUpdate_v2(CUgraphExec e, CUgraph g, CUgraphExecUpdateResultInfo *info) {
  ENTER_CONTEXT;
  auto to = executables.find(e);
  auto from = graphs.find(g);
  if (to == executables.end() || from == graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  *info = {};
  if (to->second->kinds != from->second->kinds) {  // launches before this one keep what they had
    info->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  }
  to->second = from->second;
  return CUDA_SUCCESS;
}
API cuGraphUpload(CUgraphExec e, CUstream) { ENTER_CONTEXT; return executables.count(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
API cuGraphLaunch(CUgraphExec e, CUstream handle) {
  ENTER_CONTEXT;
  auto it = executables.find(e);
  if (it == executables.end()) return CUDA_ERROR_INVALID_VALUE;
  auto graph = it->second;
  counts.graph_launches++;
  return submit(handle, [=] {
    for (auto &work : graph->work)
      if (ready() == CUDA_SUCCESS) work();
  });
}
API cuGraphDestroy(CUgraph g) { ENTER; return graphs.erase(g) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
API cuGraphExecDestroy(CUgraphExec e) { ENTER; return executables.erase(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
