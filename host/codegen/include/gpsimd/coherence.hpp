// Coherence of accessors: which of a tensor are open, and which may be open at the same time.
//
// A stream keeps a part of the tensor in TCM, and what goes by the tensor itself sees nothing of it: a write stream goes with no
// other accessor, read streams do not go with element accessors. TCM accessors are not tracked, as on the device: the op says
// itself when each copy is made.
#ifndef GPSIMD_COHERENCE_HPP
#define GPSIMD_COHERENCE_HPP

#include <gpsimd/frame.hpp>

namespace torch {
inline namespace gpsimd_emulated {

class CoherencyEnforcer {
 public:
  // What happens when an accessor is opened beside one that it does not go with.
  enum Policy {
    COHERENT,            // the launch ends with an error
    INCOHERENT_VERBOSE,  // a warning is printed
    INCOHERENT_QUIET,    // nothing
  };
};

}  // namespace gpsimd_emulated
}  // namespace torch

namespace gpsimd {

enum class Access { ReadStream, WriteStream, Elements };

inline const char *name_of(Access access) {
  switch (access) {
    case Access::ReadStream:
      return "read_stream_accessor";
    case Access::WriteStream:
      return "write_stream_accessor";
    case Access::Elements:
      return "accessor";
  }
  return "";
}

// The open accessors of a tensor.
class OpenAccesses {
 public:
  torch::CoherencyEnforcer::Policy policy() const { return policy_; }
  void set_policy(torch::CoherencyEnforcer::Policy policy) { policy_ = policy; }

  // That what is open goes with `access`.
  void expect_coherent(Access access, const char *tensor, Location where) const {
    const Access all[] = {Access::WriteStream, Access::ReadStream, Access::Elements};
    for (Access other : all) {
      if (access != other || access == Access::WriteStream) expect_closed(other, name_of(access), tensor, where);
    }
  }

  // That no `access` is open when `call` reaches the tensor: ends the launch, or warns, by the policy.
  void expect_closed(Access access, const char *call, const char *tensor, Location where) const {
    const Open &found = open_[static_cast<size_t>(access)];
    if (found.count == 0 || policy_ == torch::CoherencyEnforcer::INCOHERENT_QUIET) return;
    if (policy_ == torch::CoherencyEnforcer::COHERENT) {
      refuse(where, "`%s` of `%s` while its `%s` of line %u is open: a stream keeps elements in TCM, which the other does not "
             "see; close that first, or see `set_accessor_coherence_policy`", call, tensor, name_of(access),
             found.where.line);
    }
    printf("warning: line %u: `%s` of `%s` while its `%s` of line %u is open may see old elements\n", where.line, call, tensor,
           name_of(access), found.where.line);
  }

  void add(Access access, Location where) {
    ++open_[static_cast<size_t>(access)].count;
    open_[static_cast<size_t>(access)].where = where;
  }
  void remove(Access access) { --open_[static_cast<size_t>(access)].count; }

 private:
  struct Open {
    uint32_t count;
    Location where;  // the last one was opened
  };

  Open open_[3] = {};
  torch::CoherencyEnforcer::Policy policy_ = torch::CoherencyEnforcer::COHERENT;
};

}  // namespace gpsimd

#endif
