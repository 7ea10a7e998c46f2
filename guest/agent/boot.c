#include "guest/agent/boot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/agent/on_demand.h"
#include "guest/image/memory.h"
#include "guest/init/clock.h"
#include "guest/init/disk.h"
#include "guest/init/entropy.h"
#include "guest/init/image_disk.h"
#include "guest/init/lent_disk.h"
#include "guest/init/modules.h"
#include "guest/init/mounts.h"
#include "guest/init/network.h"
#include "guest/init/ports.h"
#include "guest/init/scratch.h"
#include "guest/init/sysctls.h"
#include "guest/volume/volume.h"

static FALLIBLE mount_all(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    (void) umask(022);
    return mounts_make(err);
}

static FALLIBLE read_command_line(struct cmdline *cmdline, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    return file_read("/proc/cmdline", CMDLINE_LEN_MAX + 1, &text, err) &&
           cmdline_read(buffer_bytes(&text), cmdline, err);
}

static FALLIBLE load_modules(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return modules_load("/modules", err) && mounts_make_late(err);
}

/* Three modules that nobody else wants; without them the ports are virtio-serial's, which is built in. */
static FALLIBLE load_vsock(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return !ports_are_vsock("/sys/bus/virtio/devices") || modules_load("/modules-vsock", err);
}

/* A process of its own: PID 1 and what it forks never hold the disk's key. */
static FALLIBLE open_scratch_apart(const char *name, struct err *err)
{
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2], status;
    struct err   why = { .kind = ERR_BUG, .text = "scratch: it did not say why" };
    pid_t        pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_os(err, "scratch");
    ours   = ends[0];
    theirs = ends[1];
    pid    = fork();
    if (pid < 0)
        return err_os(err, "scratch");
    if (pid == 0) {
        bool is_open = scratch_open(name, &why);

        _exit(is_open ? 0 : write(theirs, &why, sizeof why) < 0 ? 2 : 1); /* 2: unsaid, and failed all the same */
    }
    auto_fd(&theirs);
    theirs = NO_FD;
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    (void) !read(ours, &why, sizeof why); /* one that came whole, or the one from above */
    *err = why;
    return false;
}

/* The modules are many, and wanted only where the host lends a disk; no other can be loaded later. */
static FALLIBLE open_scratch(struct cmdline *cmdline, struct err *err)
{
    char name[DISK_NAME_MAX];

    (void) cmdline;
    if (!disk_find("/sys/block", SCRATCH_SERIAL, name, err))
        return false;
    if (!name[0] && !lent_disk_may_come(VOLUME_SERIAL_PREFIX))
        return true;
    return modules_load("/modules-scratch", err) && (!name[0] || open_scratch_apart(name, err));
}

/* Likewise, for layers that are mounted. */
static FALLIBLE load_image_modules(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return !lent_disk_may_come(IMAGE_DISK_PREFIX) || (modules_load("/modules-scratch", err) && modules_load("/modules-images", err));
}

/* After the modules: the first of the rows forbids any more. */
static FALLIBLE close_kernel(struct cmdline *cmdline, struct err *err)
{
    static const char *const folders[] = { "/modules", "/modules-scratch", "/modules-images", "/modules-vsock" };

    if (!sysctls_write("/proc/sys", err))
        return false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        modules_forget(folders[i]);
    if (cmdline->tee != CMDLINE_TEE_TPM)
        on_demand_forget(ON_DEMAND_FOLDER);
    return true;
}

static FALLIBLE raise_loopback(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return network_raise_loopback(err);
}

static FALLIBLE wait_for_entropy(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return entropy_wait(err);
}

static FALLIBLE raise_clock(struct cmdline *cmdline, struct err *err)
{
    (void) cmdline;
    return clock_raise(err);
}

/* The controllers that limit containers; a kernel without one of them is no reason to stop. */
static FALLIBLE open_cgroups(struct cmdline *cmdline, struct err *err)
{
    static const char *const controllers[] = { "+cpu", "+memory", "+pids", "+io" };
    AUTO(stream) FILE       *control       = fopen("/sys/fs/cgroup/cgroup.subtree_control", "we");

    (void) cmdline;
    if (!control)
        return err_os(err, "cgroups");
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        (void) fprintf(control, "%s", controllers[i]);
        (void) fflush(control); /* one write each, so that one that is missing spoils no other */
    }
    return true;
}

/* Last of all: what is free now is what images may take. */
static FALLIBLE bound_images(struct cmdline *cmdline, struct err *err)
{
    uint64_t available;

    (void) cmdline;
    if (!memory_available(&available, err))
        return false;
    return available > 0 ? mounts_bound_run(available, err)
                         : fail_with(err, ERR_LIMIT, "the guest has no memory for an image: give it more (--memory)");
}

static const struct step {
    const char *phase;
    FALLIBLE  (*run)(struct cmdline *cmdline, struct err *err);
} steps[] = {
    { "boot", mount_all },     { "config", read_command_line }, { "boot", load_modules },
    { "boot", wait_for_entropy }, { "boot", raise_clock },      { "boot", open_scratch }, /* whose keys are the first */
    { "boot", load_image_modules }, { "boot", load_vsock },
    { "boot", close_kernel },  { "boot", open_cgroups },        { "boot", raise_loopback },
    { "boot", bound_images },
};

FALLIBLE boot_run(struct timeline *timeline, struct cmdline *cmdline, const char **phase, struct err *err)
{
    uint64_t begin = timeline_now_ms();

    timeline_add(timeline, "kernel", 0, begin, "");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        *phase = steps[i].phase;
        if (!steps[i].run(cmdline, err))
            return false;
    }
    timeline_add(timeline, "boot", begin, timeline_now_ms(), "");
    return true;
}
