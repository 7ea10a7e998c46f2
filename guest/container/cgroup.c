#include "guest/container/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { COUNTER_FILE_MAX = 16 << 10 };

FALLIBLE cgroup_limits_check(const struct cgroup_limits *limits, struct err *err)
{
    if (limits->memory_bytes > 0 && limits->memory_bytes < CGROUP_MEMORY_MIN)
        return fail_with(err, ERR_LIMIT, "memory limit: under %d bytes nothing runs", CGROUP_MEMORY_MIN);
    if ((limits->cpu_quota_us > 0) != (limits->cpu_period_us > 0))
        return fail_with(err, ERR_LIMIT, "CPU limit: quota and period go together");
    if (limits->cpu_period_us > 0 &&
        (limits->cpu_period_us < CGROUP_PERIOD_MIN_US || limits->cpu_period_us > CGROUP_PERIOD_MAX_US ||
         limits->cpu_quota_us < CGROUP_PERIOD_MIN_US || limits->cpu_quota_us > UINT32_MAX))
        return fail_with(err, ERR_LIMIT, "CPU limit: periods are %d to %d microseconds, quotas at least %d",
                         CGROUP_PERIOD_MIN_US, CGROUP_PERIOD_MAX_US, CGROUP_PERIOD_MIN_US);
    return true;
}

static bool read_counter_file(int group, const char *name, struct buffer *out)
{
    AUTO(fd) int fd = openat(group, name, O_RDONLY | O_CLOEXEC);
    struct err   ignored;

    return fd >= 0 && file_read_fd(fd, COUNTER_FILE_MAX, out, &ignored);
}

/* "max" and everything else that is no number is 0. */
static uint64_t read_number(int group, const char *name)
{
    AUTO(buffer) struct buffer text = { 0 };

    return read_counter_file(group, name, &text) ? strtoull(buffer_text(&text), NULL, 10) : 0;
}

/* The number behind `key` in lines of "key number". */
static uint64_t number_of(struct buffer *text, const char *key)
{
    size_t      len  = strlen(key);
    const char *line = buffer_text(text);

    while (line && *line) {
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len + 1, NULL, 10);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

FALLIBLE cgroup_stats_read(const char *path, struct cgroup_stats *out, struct err *err)
{
    AUTO(buffer) struct buffer cpu = { 0 }, memory = { 0 }, events = { 0 };
    AUTO(fd) int               group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cgroup_stats        s     = { 0 };

    if (group < 0)
        return err_os(err, "control group");
    s.memory_bytes       = read_number(group, "memory.current");
    s.memory_limit_bytes = read_number(group, "memory.max");
    s.processes          = read_number(group, "pids.current");
    s.processes_limit    = read_number(group, "pids.max");
    if (read_counter_file(group, "memory.stat", &memory))
        s.memory_inactive_file_bytes = number_of(&memory, "inactive_file");
    if (read_counter_file(group, "memory.events", &events))
        s.out_of_memory_kills = number_of(&events, "oom_kill");
    if (read_counter_file(group, "cpu.stat", &cpu)) {
        s.cpu_usage_us  = number_of(&cpu, "usage_usec");
        s.cpu_user_us   = number_of(&cpu, "user_usec");
        s.cpu_system_us = number_of(&cpu, "system_usec");
    }
    *out = s;
    return true;
}

static FALLIBLE write_setting(int group, const char *name, const char *text, struct err *err)
{
    AUTO(fd) int fd = openat(group, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return err_os(err, "%s", name);
    return true;
}

FALLIBLE cgroup_limits_write(const char *path, const struct cgroup_limits *limits, struct err *err)
{
    AUTO(fd) int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char         memory[32] = "max", cpu[64] = "max";

    if (!cgroup_limits_check(limits, err))
        return false;
    if (group < 0)
        return err_os(err, "control group");
    if (limits->memory_bytes > 0)
        (void) snprintf(memory, sizeof memory, "%llu", (unsigned long long) limits->memory_bytes); /* fits */
    if (limits->cpu_quota_us > 0)
        (void) snprintf(cpu, sizeof cpu, "%llu %llu", (unsigned long long) limits->cpu_quota_us,
                        (unsigned long long) limits->cpu_period_us); /* fits */
    return write_setting(group, "memory.max", memory, err) && write_setting(group, "cpu.max", cpu, err);
}

FALLIBLE cgroup_kill(const char *path, struct err *err)
{
    AUTO(fd) int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return group < 0 ? err_os(err, "control group") : write_setting(group, "cgroup.kill", "1", err);
}
