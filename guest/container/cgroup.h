/* What the kernel counts of a container, and the limits it keeps. [kernel docs, cgroup-v2] */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct cgroup_limits { /* 0: none of its own */
    uint64_t memory_bytes;
    uint64_t cpu_quota_us, cpu_period_us;
};

struct cgroup_stats {
    uint64_t memory_bytes, memory_inactive_file_bytes, memory_limit_bytes;
    uint64_t cpu_usage_us, cpu_user_us, cpu_system_us;
    uint64_t processes, processes_limit;
    uint64_t out_of_memory_kills;
};

enum { CGROUP_MEMORY_MIN = 1 << 20, CGROUP_PERIOD_MIN_US = 1000, CGROUP_PERIOD_MAX_US = 1000000 };

/* Fails LIMIT for a limit under which nothing could run or that the kernel does not take. */
FALLIBLE cgroup_limits_check(const struct cgroup_limits *limits, struct err *err);

/* `path`: the directory of the group. A counter whose controller is off stays 0. Fails OS when there is no group. */
FALLIBLE cgroup_stats_read(const char *path, struct cgroup_stats *out, struct err *err);

/* Limits that are 0 are lifted. Fails as cgroup_limits_check, and OS. */
FALLIBLE cgroup_limits_write(const char *path, const struct cgroup_limits *limits, struct err *err);

/* SIGKILL to every process in the group. Fails OS. */
FALLIBLE cgroup_kill(const char *path, struct err *err);
