#include "runtime/vmm/simulated_platform.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "firmware/measure/cpu_model.h"
#include "firmware/measure/snp_launch.h"
#include "guest/api/connection.h"
#include "runtime/vmm/jail.h"
#include "runtime/vmm/simulated_report.h"

struct simulated_platform {
    struct loop                *loop;
    struct simulated_guest      guest;
    struct development_root keys;
    struct buffer               certificates;
};

/* The launch as real hardware would see it: the CPU model is the one that --tee snp launches. */
static FALLIBLE measure(const struct simulated_platform_options *o, uint8_t out[static 48], struct err *err)
{
    struct snp_launch_options launch = {
        .firmware = o->firmware, .direct_boot = true, .kernel = o->kernel, .initrd = o->initrd, .append = o->append,
        .n_vcpus = o->cpus, .guest_features = 1, .machine = VMSA_QEMU,
    };
    struct snp_measurement measurement;

    if (!cpu_model_signature(SIMULATED_CPU_MODEL, &launch.cpu_signature, err) ||
        !snp_launch_measure(&launch, NULL, &measurement, err))
        return context(err, "measure the launch");
    for (size_t i = 0; i < 48; i++)
        out[i] = measurement.digest.at[i];
    return true;
}

static void serve_report(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct simulated_platform *p        = owner;
    const Report__GetRequest  *request  = (const Report__GetRequest *) message;
    Report__GetResponse        response = REPORT__GET_RESPONSE__INIT;
    uint8_t                    report[SNP_REPORT_LEN];
    struct err                 err;

    if (request->report_data.len != SNP_REPORT_DATA_LEN) {
        (void) fail_with(&err, ERR_MALFORMED, "report data of %zu bytes; 64 are wanted", request->report_data.len);
        ttrpc_refuse(pending, &err);
        return;
    }
    if (!simulated_report_sign(&p->guest, request->report_data.data, &p->keys, report, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    response.report       = (ProtobufCBinaryData){ sizeof report, report };
    response.certificates = (ProtobufCBinaryData){ p->certificates.len, p->certificates.at };
    ttrpc_answer(pending, &response.base);
}

static void port_closed(void *owner, const struct err *why)
{
    struct simulated_platform *p = owner;

    (void) why; /* the VM is gone, or broke the protocol: either way there is no one to serve */
    loop_stop(p->loop);
}

/* To serve one port, to sign, and to end. mmap and the like are OpenSSL's and malloc's. */
static const int system_calls[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(fcntl),
    SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), /* the guest comes by vsock */
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(exit_group),
};

static void __attribute__((noreturn)) serve(struct simulated_platform *p, int port_fd, pid_t parent)
{
    static const struct ttrpc_row   rows[]     = { { "Get", serve_report } };
    struct ttrpc_connection        *connection = NULL;
    struct ttrpc_connection_options options    = { .service = &report_service, .rows = rows, .n_rows = 1,
                                                   .closed = port_closed, .owner = p };
    const struct jail               jail       = { parent, &port_fd, 1, system_calls, sizeof system_calls / sizeof *system_calls };
    struct err                      err;
    sigset_t                        none;

    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || !jail_enter(&jail, &err) || !loop_new(&p->loop, &err))
        _exit(1);
    options.loop = p->loop;
    if (!ttrpc_connection_new(&options, port_fd, &connection, &err) || !loop_run(p->loop, &err))
        _exit(1);
    _exit(0);
}

/* What was measured is of no more use here: the whole pages of it go back, or each pod would hold kernel and initrd once more. */
static void forget(struct bytes measured)
{
    uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t) measured.at + page - 1) / page * page, to = ((uintptr_t) measured.at + measured.len) / page * page;

    if (to > from)
        (void) madvise((void *) from, to - from, MADV_DONTNEED); /* only memory: without it things work as well */
}

/* Everything that can fail is done before the fork, so that it fails with words. */
static FALLIBLE prepare(const struct simulated_platform_options *options, struct simulated_platform *p, struct err *err)
{
    if ((!development_root_exists(options->key_directory) &&
         !development_root_make(options->key_directory, (int64_t) time(NULL), err)) ||
        !development_root_load(options->key_directory, &p->keys, err) ||
        !measure(options, p->guest.measurement, err) ||
        !random_bytes(p->guest.report_id, sizeof p->guest.report_id, err))
        return false;
    for (size_t i = 0; i < sizeof p->guest.host_data; i++)
        p->guest.host_data[i] = options->host_data[i];
    simulated_certificates(&p->keys, &p->certificates);
    return true;
}

static void auto_prepared(struct simulated_platform *p)
{
    development_root_free(&p->keys);
    buffer_free(&p->certificates);
}

FALLIBLE simulated_platform_start(const struct simulated_platform_options *options, int port_fd_take,
                                  struct process *out, struct err *err)
{
    AUTO(fd) int                              port_fd = port_fd_take;
    AUTO(prepared) struct simulated_platform  p       = { 0 };
    pid_t                                     parent  = getpid(), pid;

    if (!prepare(options, &p, err))
        return false;
    pid = fork();
    if (pid < 0)
        return err_os(err, "start");
    if (pid == 0) {
        forget(options->firmware);
        forget(options->kernel);
        forget(options->initrd);
        serve(&p, port_fd, parent);
    }
    *out = (struct process){ pid, (int) syscall(SYS_pidfd_open, pid, 0) };
    return true;
}
