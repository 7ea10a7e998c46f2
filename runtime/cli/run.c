/* cloister run: one image, one attested microVM, one command; its output, its exit code. */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/debug.h"
#include "runtime/cli/job.h"
#include "runtime/sandbox/guest_bundle.h"
#include "runtime/cli/platform.h"
#include "runtime/cli/pod.h"
#include "runtime/cli/timeline.h"
#include "runtime/net/pod_link.h"
#include "runtime/oci/image_disks.h"
#include "runtime/sandbox/sandbox.h"
#include "keys/api/development_root.h"

enum {
    EXIT_OURS            = 125, /* our failure before the workload ran */
    DEFAULT_MEMORY_MIB   = 512,
    DEFAULT_CACHE_MIB    = 20 << 10,
    SCRATCH_MIN_MIB      = 16,
    DEFAULT_TIMEOUT_S    = 180,
    DEBUG_TIMEOUT_S      = 86400, /* whoever looks at a guest that does not attest needs time */
    PHASE_OUTPUT_BLOCK   = 64 << 10,
};

#define CONTAINER_ID "main"

struct run_options {
    struct platform_options     platform;
    const char                 *broker, *ca, *initdata_file, *netns, *cache, *receipt;
    struct buffer               nonce;
    uint64_t                    cpus, memory_mib, scratch_mib, timeout_s, cache_max_mib;
    bool                        wants_timeline, wants_console, is_debug;
    struct guest_bundle_options guest;
    struct pod                  pod;
};

struct run {
    const struct run_options *options;
    struct loop              *loop;
    struct sandbox           *sandbox;
    struct loop_source        signals;
    struct err                failure;      /* why we end without the workload's exit code */
    bool                      has_failed, has_started, has_exited;
    int                       n_streams;    /* output streams that have not ended */
    int                       exit_code;
    int                       ended_by;     /* a signal that came before the workload ran */
    struct timeline           timeline;
    struct debug_session      debug; /* cloister debug */
};

static void stop(struct run *run)
{
    loop_stop(run->loop);
}

/* Where there is a shell, its end is the end: what goes wrong meanwhile is what somebody wants to look into. */
static void stop_failed(struct run *run, const struct err *why)
{
    if (run->debug.has_shell) {
        fprintf(stderr, "cloister: %s\r\n", why->text);
        return;
    }
    if (!run->has_failed)
        run->failure = *why;
    run->has_failed = true;
    stop(run);
}

/* A request that fails because the guest is gone does not say why it went: the sandbox does, a moment later. */
static void request_failed(struct run *run, const struct err *why)
{
    if (!sandbox_lost_agent(run->sandbox))
        stop_failed(run, why);
}

/* ---- the workload, from created to ended ---- */

/* ---- volumes, which outlive the VM, are closed before it ends ---- */

static void guest_shut_down(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    (void) message;
    (void) why; /* a journal that was not closed is read at the next start */
    stop(owner);
}

static void container_deleted(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run             *run     = owner;
    Agent__ShutdownRequest  request = AGENT__SHUTDOWN_REQUEST__INIT;
    struct err              err;

    (void) message;
    (void) why; /* likewise */
    if (!sandbox_call(run->sandbox, "Shutdown", &request.base, guest_shut_down, run, &err))
        stop(run);
}

static void close_volumes(struct run *run)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    request.id = id;
    sandbox_expect_end(run->sandbox);
    if (!sandbox_call(run->sandbox, "DeleteContainer", &request.base, container_deleted, run, &err))
        stop(run);
}

/* Without volumes the VM is simply ended: nothing in it outlives it. */
static void end_guest(struct run *run)
{
    if (run->debug.has_shell)
        fprintf(stderr, "cloister: the workload ended with code %d\r\n", run->exit_code);
    else if (run->options->pod.volumes.n > 0)
        close_volumes(run);
    else
        stop(run);
}

static void timeline_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;

    (void) why; /* without it the timeline has the host's part only */
    if (message)
        timeline_add_guest(&run->timeline, (const Agent__GetTimelineResponse *) message);
    end_guest(run);
}

static void finish(struct run *run)
{
    Agent__GetTimelineRequest request = AGENT__GET_TIMELINE_REQUEST__INIT;
    struct err                err;

    if (!run->options->wants_timeline ||
        !sandbox_call(run->sandbox, "GetTimeline", &request.base, timeline_came, run, &err))
        end_guest(run);
}

static FALLIBLE receipt_keep(const struct run *run, const ProtobufCBinaryData *receipt, struct err *err)
{
    return file_write(run->options->receipt, (struct bytes){ receipt->data, receipt->len }, 0644, err) || context(err, "config");
}

static void receipt_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;
    struct err  err;

    if (!message)
        request_failed(run, why);
    else if (receipt_keep(run, &((const Agent__GetReceiptResponse *) message)->receipt, &err))
        finish(run);
    else
        stop_failed(run, &err);
}

static void ask_for_receipt(struct run *run)
{
    Agent__GetReceiptRequest request = AGENT__GET_RECEIPT_REQUEST__INIT;
    char                     id[]    = CONTAINER_ID;
    struct err               err;

    request.id    = id;
    request.nonce = (ProtobufCBinaryData){ run->options->nonce.len, run->options->nonce.at };
    if (!sandbox_call(run->sandbox, "GetReceipt", &request.base, receipt_came, run, &err))
        request_failed(run, &err);
}

/* All output is out and the exit code is known. */
static void finish_when_all_is_in(struct run *run)
{
    if (!run->has_exited || run->n_streams > 0)
        return;
    timeline_mark(&run->timeline, TIMELINE_EXITED, monotonic_ms());
    if (run->options->receipt)
        ask_for_receipt(run);
    else
        finish(run);
}

static void container_exited(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;

    if (!message) {
        request_failed(run, why);
        return;
    }
    run->exit_code  = (int) (((const Agent__WaitContainerResponse *) message)->exit_code & 0xff);
    run->has_exited = true;
    finish_when_all_is_in(run);
}

struct stream {
    struct run         *run;
    Agent__OutputStream which;
    int                 fd;
};

static struct stream streams[2] = { { NULL, AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT, STDOUT_FILENO },
                                    { NULL, AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR, STDERR_FILENO } };

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why);

static void read_output(struct stream *stream)
{
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;
    char                     id[]    = CONTAINER_ID;
    struct err               err;

    request.id     = id;
    request.stream = stream->which;
    request.most   = PHASE_OUTPUT_BLOCK;
    if (!sandbox_call(stream->run->sandbox, "ReadOutput", &request.base, output_came, stream, &err))
        stop_failed(stream->run, &err);
}

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct stream                   *stream   = owner;
    const Agent__ReadOutputResponse *response = (const Agent__ReadOutputResponse *) message;
    struct err                       err;

    if (!response) {
        request_failed(stream->run, why);
        return;
    }
    if (stream->fd >= 0 && !write_all(stream->fd, (struct bytes){ response->data.data, response->data.len }, &err))
        stream->fd = NO_FD; /* the reader left; the workload is drained all the same */
    if (!response->eof) {
        read_output(stream);
        return;
    }
    stream->run->n_streams--;
    finish_when_all_is_in(stream->run);
}

static void container_started(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run                  *run     = owner;
    Agent__WaitContainerRequest  wait    = AGENT__WAIT_CONTAINER_REQUEST__INIT;
    char                         id[]    = CONTAINER_ID;
    struct err                   err;

    if (!message) {
        request_failed(run, why);
        return;
    }
    timeline_mark(&run->timeline, TIMELINE_STARTED, monotonic_ms());
    run->has_started = true;
    wait.id          = id;
    if (!sandbox_call(run->sandbox, "WaitContainer", &wait.base, container_exited, run, &err))
        stop_failed(run, &err);
    for (size_t i = 0; i < 2; i++) {
        streams[i].run = run;
        run->n_streams++;
        read_output(&streams[i]);
    }
}

static void container_created(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run                   *run     = owner;
    Agent__StartContainerRequest  request = AGENT__START_CONTAINER_REQUEST__INIT;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    if (!message) {
        request_failed(run, why);
        return;
    }
    request.id = id;
    if (!sandbox_call(run->sandbox, "StartContainer", &request.base, container_started, run, &err))
        stop_failed(run, &err);
}

/* Whoever wanted a shell is told at once that there is none: the workload is not run for that. */
static void refuse_production_guest(struct run *run)
{
    struct err err;

    (void) fail_with(&err, ERR_CONFIG, "config: this guest is no debug image: nothing in it answers to cloister debug, and nothing can make it; "
                     "a debug image has another initrd and another measurement"); /* only fills the record */
    stop_failed(run, &err);
}

static void guest_is_ready(void *owner)
{
    struct run                    *run     = owner;
    const struct pod              *pod     = &run->options->pod;
    Agent__CreateContainerRequest  request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    Agent__Volume                  volumes[VOLUME_DISKS_MAX], *at[VOLUME_DISKS_MAX];
    char                           id[]    = CONTAINER_ID;
    struct err                     err;

    if (run->options->is_debug && !run->debug.has_shell) {
        refuse_production_guest(run);
        return;
    }
    request.id           = id;
    request.image_digest = (char *) (uintptr_t) pod->manifest;   /* protobuf-c's fields are not const; it only reads them */
    request.image_name   = (char *) (uintptr_t) pod->image_name; /* as above */
    request.args         = pod->args;
    request.n_args       = pod->n_args;
    request.env          = (char **) (uintptr_t) pod->env.at;    /* as above */
    request.n_env        = pod->env.n;
    for (size_t i = 0; i < pod->volumes.n; i++) {
        volumes[i]        = (Agent__Volume) AGENT__VOLUME__INIT;
        volumes[i].path   = (char *) (uintptr_t) pod->volumes.at[i].path; /* as above */
        volumes[i].volume = (char *) (uintptr_t) pod->volumes.at[i].name;
        at[i]             = &volumes[i];
    }
    request.volumes   = at;
    request.n_volumes = pod->volumes.n;
    if (!sandbox_call(run->sandbox, "CreateContainer", &request.base, container_created, run, &err))
        stop_failed(run, &err);
}

static void vm_has_ended(void *owner, const struct err *why)
{
    const struct run *run = owner;

    if (why->kind == ERR_NONE || run->debug.has_shell)
        stop(owner);
    else
        stop_failed(owner, why);
}

/* ---- signals ---- */

static void signal_was_sent(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    (void) owner;
    (void) message;
    (void) why; /* a container that has just ended cannot take it; its exit code is on its way */
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct run                   *run     = source->owner;
    Agent__SignalContainerRequest request = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;
    struct signalfd_siginfo       came;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    (void) events;
    if (read(source->fd, &came, sizeof came) != sizeof came)
        return;
    if (!run->has_started || run->debug.has_shell) { /* a shell's session is ours to end, not the workload's */
        run->ended_by = (int) came.ssi_signo;
        stop(run);
        return;
    }
    request.id     = id;
    request.signal = came.ssi_signo;
    if (!sandbox_call(run->sandbox, "SignalContainer", &request.base, signal_was_sent, run, &err))
        stop_failed(run, &err);
}

static FALLIBLE watch_signals(struct run *run, struct err *err)
{
    static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

    run->signals = (struct loop_source){ .fd = NO_FD, .ready = signal_came, .owner = run };
    (void) signal(SIGPIPE, SIG_IGN); /* a reader that left is seen where we write */
    return loop_signal_fd(forwarded, sizeof forwarded / sizeof *forwarded, &run->signals.fd, err) &&
           loop_add(run->loop, &run->signals, EPOLLIN, err);
}

/* ---- preparation ---- */

static FALLIBLE choose_platform(const struct run_options *options, struct platform *out, struct err *err)
{
    AUTO(host) struct host host = { 0 };

    return host_look("", &host, err) && platform_choose(&options->platform, &host, out, err);
}

/* The node's cache may have all of an image that is asked for by digest. */
static FALLIBLE check_network(const struct run_options *options, struct err *err)
{
    return options->pod.image.directory[0] || options->netns || options->cache ||
           fail_with(err, ERR_CONFIG, "the guest pulls an image of a registry itself: give it a network with --netns PATH, or copy the image first: "
                     "skopeo copy docker://... oci:DIR:TAG");
}

static FALLIBLE get_initdata(const struct run_options *options, struct buffer *text, struct initdata_broker *broker,
                             struct err *err)
{
    AUTO(initdata) struct initdata read = { 0 };

    if (options->initdata_file ? !file_read(options->initdata_file, KBS_INITDATA_TEXT_MAX, text, err)
                               : !pod_write_initdata(&options->pod, options->broker, options->ca, text, err))
        return false;
    return initdata_read(buffer_bytes(text), &read, err) && initdata_broker(&read, broker, err);
}

static void leave(void *owner)
{
    stop(owner);
}

static FALLIBLE run_sandbox(struct run *run, struct sandbox_options *sandbox, struct err *err)
{
    if (!loop_new(&run->loop, err) || !watch_signals(run, err))
        return context(err, "config");
    sandbox->loop  = run->loop;
    sandbox->ready = guest_is_ready;
    sandbox->ended = vm_has_ended;
    sandbox->owner = run;
    run->debug     = (struct debug_session){ .loop = run->loop, .input.fd = NO_FD, .left = leave, .owner = run };
    if (run->options->is_debug) {
        sandbox->console_said  = debug_console_said;
        sandbox->console_owner = &run->debug;
    }
    if (!sandbox_start(sandbox, &run->sandbox, err))
        return false;
    run->debug.sandbox = run->sandbox;
    if (!loop_run(run->loop, err))
        return context(err, "config");
    if (run->options->wants_timeline && run->has_exited)
        timeline_print(&run->timeline, sandbox_times(run->sandbox), stderr);
    return true;
}

static void end_run(struct run *run)
{
    debug_session_end(&run->debug);
    sandbox_free(run->sandbox);
    loop_remove(&run->signals);
    auto_fd(&run->signals.fd);
    loop_free(run->loop);
}

/* Everything up to the exit code. Failures read "phase: what". */
static FALLIBLE run_pod(struct run_options *options, int *exit_code, struct err *err)
{
    AUTO(buffer) struct buffer                   initdata = { 0 };
    AUTO(initdata_broker) struct initdata_broker broker   = { 0 };
    AUTO(guest_bundle) struct guest_bundle       guest    = { 0 };
    AUTO(platform) struct platform               platform = { 0 };
    AUTO(text) char                             *keys = NULL, *tpm = NULL;
    AUTO(pod_link) struct pod_link               network  = NO_POD_LINK;
    AUTO(image_disks) struct image_disks         images   = { .n = 0 };
    struct vm_disk                               disks[IMAGE_DISKS_MAX];
    struct run                                   run      = { .options = options };
    struct sandbox_options                       sandbox  = { 0 };
    struct sandbox_volume                        volumes[VOLUME_DISKS_MAX];

    if (!choose_platform(options, &platform, err))
        return context(err, "config");
    options->guest.tee = platform.tee;
    if (!guest_bundle_find(&options->guest, &guest, err) || !check_network(options, err))
        return context(err, "config");
    if (!get_initdata(options, &initdata, &broker, err))
        return context(err, options->initdata_file ? "initdata" : "config");
    if (options->netns && !pod_link_open(options->netns, &network, err))
        return context(err, "config");
    if (options->pod.image.directory[0] && !image_disks_open((const char *const[IMAGE_STORES]){ options->pod.image.directory }, options->pod.manifest, &images, err))
        return context(err, "pull");
    for (size_t i = 0; i < images.n; i++) {
        disks[i] = (struct vm_disk){ .fd = images.at[i].fd, .is_read_only = true };
        memcpy(disks[i].serial, images.at[i].serial, sizeof images.at[i].serial);
    }
    development_root_folder(&keys);
    development_tpm_folder(&tpm);
    sandbox.tee             = platform.tee;
    sandbox.accel           = platform.accel;
    sandbox.channel         = platform.channel;
    sandbox.binding         = platform.binding;
    sandbox.cpus            = (unsigned) options->cpus;
    sandbox.memory_mib      = (unsigned) options->memory_mib;
    sandbox.scratch_mib     = (unsigned) options->scratch_mib;
    for (size_t i = 0; i < options->pod.volumes.n; i++)
        volumes[i] = (struct sandbox_volume){ options->pod.volumes.at[i].name, options->pod.volumes.at[i].file, options->pod.volumes.at[i].read_only };
    sandbox.volumes         = volumes;
    sandbox.n_volumes       = options->pod.volumes.n;
    sandbox.disks           = disks;
    sandbox.n_disks         = images.n;
    sandbox.files           = (struct sandbox_files){ guest.firmware, guest.kernel, guest.initrd };
    sandbox.append          = guest.append;
    sandbox.initdata        = buffer_bytes(&initdata);
    sandbox.broker_url      = broker.url;
    sandbox.layout          = options->pod.image.directory[0] ? options->pod.image.directory : NULL;
    sandbox.cache           = options->cache;
    sandbox.cache_max       = options->cache_max_mib << 20;
    sandbox.platform_keys   = keys;
    sandbox.tpm_identity    = tpm;
    sandbox.network         = options->netns ? &network : NULL;
    sandbox.boot_timeout_ms = (uint32_t) options->timeout_s * 1000;
    sandbox.console_fd      = options->wants_console ? STDERR_FILENO : NO_FD;

    bool ran = run_sandbox(&run, &sandbox, err);

    end_run(&run);
    if (ran && run.has_failed) {
        *err = run.failure;
        return false;
    }
    *exit_code = run.ended_by ? 128 + run.ended_by : run.debug.has_shell ? 0 : run.exit_code;
    return ran;
}

/* What a job's file says takes the place of defaults; options come later. */
static void take_job(const struct job_yaml *job, struct run_options *out, const char **nonce)
{
    pod_of_job(job, &out->pod);
    out->broker      = job->broker ? job->broker : out->broker;
    out->ca          = job->broker_ca;
    out->receipt     = job->receipt ? job->receipt : out->receipt;
    out->cpus        = job->cpus ? job->cpus : out->cpus;
    out->memory_mib  = job->memory_mib ? job->memory_mib : out->memory_mib;
    out->scratch_mib = job->scratch_mib;
    *nonce           = job->nonce ? job->nonce : *nonce;
}

/* `cloister run`, `cloister debug`, and `cloister job run`, which has a receipt and may read what to run from a file. */
struct run_kind {
    const char *command, *synopsis, *about;
    const char *receipt; /* where it goes unless told otherwise; NULL: none */
    bool        is_debug;
};

static int run_command(const struct run_kind *kind, int argc, char **argv)
{
    struct run_options options = { .platform = { .tee = "auto", .accel = "auto", .channel = "auto", .cpu_model = "EPYC-v4", .snp_policy = DEFAULT_SNP_POLICY },
                                   .broker = "https://127.0.0.1:8443", .cpus = 1,
                                   .memory_mib = DEFAULT_MEMORY_MIB, .cache_max_mib = DEFAULT_CACHE_MIB,
                                   .timeout_s = kind->is_debug ? DEBUG_TIMEOUT_S : DEFAULT_TIMEOUT_S,
                                   .receipt = kind->receipt, .is_debug = kind->is_debug, .guest.is_debug = kind->is_debug };
    AUTO(job_yaml) struct job_yaml job = { 0 };
    const char             *nonce  = "";
    const struct option_row rows[] = {
        { "receipt", OPTION_TEXT, &options.receipt, "FILE", "write what it came to, signed in the guest: cloister job verify", 0, 0 },
        { "nonce", OPTION_TEXT, &nonce, "HEX", "stands in the receipt, which is then no older than this", 0, 0 },
        { "tee", OPTION_TEXT, &options.platform.tee, "TEE", "auto, snp, tdx, tpm or sim (default auto)", 0, 0 },
        { "accel", OPTION_TEXT, &options.platform.accel, "ACCEL", "auto, kvm or tcg (default auto)", 0, 0 },
        { "channel", OPTION_TEXT, &options.platform.channel, "CHANNEL", "auto, vsock or serial: what carries the agent's requests (default auto)", 0, 0 },
        { "cpus", OPTION_NUMBER, &options.cpus, "N", "virtual CPUs (default 1)", 1, VM_CPUS_MAX },
        { "memory", OPTION_NUMBER, &options.memory_mib, "MiB", "guest memory (default 512)", VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB },
        { "scratch", OPTION_NUMBER, &options.scratch_mib, "MiB", "encrypted scratch disk, for images larger than memory (default none)", SCRATCH_MIN_MIB, VM_MEMORY_MAX_MIB },
        { "volume", OPTION_LIST, &options.pod.volume_options, "NAME=FILE:PATH[:ro|:new]", "persistent encrypted volume in FILE, at PATH of the container; new: a blank FILE may be formatted", 0, 0 },
        { "volume-key", OPTION_LIST, &options.pod.volume_keys, "NAME=URI", "the key of that volume at the broker (default kbs:///default/volume/NAME)", 0, 0 },
        { "env", OPTION_LIST, &options.pod.env, "NAME=VALUE", "add to the image's environment", 0, 0 },
        { "broker", OPTION_TEXT, &options.broker, "URL", "key broker (default https://127.0.0.1:8443)", 0, 0 },
        { "broker-ca", OPTION_TEXT, &options.ca, "FILE", "the certificate, PEM, that the guest trusts for it", 0, 0 },
        { "initdata", OPTION_TEXT, &options.initdata_file, "FILE", "initdata to use instead of one for exactly this run", 0, 0 },
        { "image-config", OPTION_TEXT, &options.pod.image_config, "FILE", "cdh.toml for the guest: registries, their CA, credentials, image policy", 0, 0 },
        { "resolv-conf", OPTION_TEXT, &options.pod.resolv_conf, "FILE", "resolv.conf for the guest; without one it resolves no names", 0, 0 },
        { "cache", OPTION_TEXT, &options.cache, "DIR", "keep ciphertext of pulled images here, for the next guest", 0, 0 },
        { "cache-max", OPTION_NUMBER, &options.cache_max_mib, "MiB", "what the cache may hold (default 20480)", 1, 1 << 30 },
        { "netns", OPTION_TEXT, &options.netns, "PATH", "give the guest the network of this namespace: addresses, routes, neighbours", 0, 0 },
        { "timeline", OPTION_FLAG, &options.wants_timeline, NULL, "print when each phase began and how long it took", 0, 0 },
        { "timeout", OPTION_NUMBER, &options.timeout_s, "S", "seconds until the guest must have attested (default 180)", 1, 86400 },
        { "console", OPTION_FLAG, &options.wants_console, NULL, "copy the guest's console to standard error", 0, 0 },
        { "guest", OPTION_TEXT, &options.guest.directory, "DIR", "guest image: firmware, kernel, initrd, cmdline", 0, 0 },
        { "firmware", OPTION_TEXT, &options.guest.firmware, "FILE", "use this firmware instead; stage0 and ovmf name installed ones", 0, 0 },
        { "kernel", OPTION_TEXT, &options.guest.kernel, "FILE", "use this kernel instead", 0, 0 },
        { "initrd", OPTION_TEXT, &options.guest.initrd, "FILE", "use this initrd instead", 0, 0 },
        { "append", OPTION_TEXT, &options.guest.append, "TEXT", "use this kernel command line instead", 0, 0 },
        { "cpu-model", OPTION_TEXT, &options.platform.cpu_model, "MODEL", "snp: QEMU's name of the measured CPU (default EPYC-v4)", 0, 0 },
        { "snp-policy", OPTION_NUMBER, &options.platform.snp_policy, "N", "snp: guest policy (default 0x30000: no debugging, no migration)", 0, 0 },
        { "id-block", OPTION_TEXT, &options.platform.id_block, "FILE", "snp: ID block, 96 bytes; with --id-auth", 0, 0 },
        { "id-auth", OPTION_TEXT, &options.platform.id_auth, "FILE", "snp: its signatures and keys, 4096 bytes", 0, 0 },
        { "quote-socket", OPTION_TEXT, &options.platform.quote_socket, "PATH", "tdx: quote generation service (default vsock 2:4050)", 0, 0 },
    };
    const struct option_table table = {
        kind->command, kind->synopsis, kind->about,
        rows, sizeof rows / sizeof *rows, true,
        "Without --initdata the guest is bound to exactly this image, argv and environment; `cloister initdata` prints\n"
        "that document and its digest, which the broker is told to expect.\n"
        "Exit code: the workload's own; 125 when it could not be run, with one line \"cloister: PHASE: WHAT\"."
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;
    int                  exit_code = EXIT_OURS;

    if (kind->receipt && !job_yaml_of_arguments(&argc, &argv, &job, &err)) {
        fprintf(stderr, "cloister: config: %s\n", err.text);
        return EXIT_OURS;
    }
    take_job(&job, &options, &nonce);
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) ||
        (outcome == OPTIONS_RUN && (n == 0) == (job.image == NULL) &&
         !fail_with(&err, ERR_CONFIG, job.image ? "a job's file names the image: none is wanted behind it" : "an image is wanted; see %s --help", kind->command))) {
        fprintf(stderr, "cloister: config: %s\n", err.text);
        return EXIT_OURS;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!hex_read(bytes_of_text(nonce), &options.nonce, &err)) {
        fprintf(stderr, "cloister: config: --nonce: %s\n", err.text);
        return EXIT_OURS;
    }
    if (n > 0) {
        options.pod.args   = operands + 1;
        options.pod.n_args = n - 1;
    }
    options.pod.network = options.netns != NULL;
    if (!pod_resolve(n > 0 ? operands[0] : job.image, &options.pod, &err))
        (void) context(&err, "config"); /* printed below */
    else if (run_pod(&options, &exit_code, &err)) {
        buffer_free(&options.nonce);
        return exit_code;
    }
    buffer_free(&options.nonce);
    fprintf(stderr, "cloister: %s\n", err.text);
    return EXIT_OURS;
}

int cmd_run(int argc, char **argv)
{
    static const struct run_kind kind = { "cloister run", "[OPTION]... IMAGE [ARG...]",
                                          "Runs an image in an attested microVM and exits with its exit code. IMAGE is oci:DIR[:TAG]\n"
                                          "or REGISTRY/REPOSITORY[:TAG][@DIGEST], which the guest pulls itself: give it a network.", NULL, false };

    return run_command(&kind, argc, argv);
}

int cmd_debug(int argc, char **argv)
{
    static const struct run_kind kind = { "cloister debug", "[OPTION]... IMAGE [ARG...]",
                                          "Runs an image as cloister run does, in a guest of the debug image: standard input and output are\n"
                                          "a shell of the guest's root; when it ends, so does the guest. That image has another initrd and\n"
                                          "another measurement: a broker gives it nothing unless it was told of it. A guest of the image\n"
                                          "that is meant for use has no such shell, and is refused. --timeout is a day here.", NULL, true };

    return run_command(&kind, argc, argv);
}

int job_run(int argc, char **argv)
{
    static const struct run_kind kind = { "cloister job run", "[OPTION]... IMAGE [ARG...] | -f JOB.yaml [OPTION]...",
                                          "Runs a batch job in an attested microVM, exits with its exit code, and leaves a receipt\n"
                                          "(receipt.json, or --receipt FILE) that `cloister job verify` checks offline.", "receipt.json", false };

    return run_command(&kind, argc, argv);
}
