/* cloister run: one image, one attested microVM, one command; its output, its exit code. */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/job.h"
#include "runtime/sandbox/guest_bundle.h"
#include "runtime/cli/platform.h"
#include "runtime/cli/pod.h"
#include "runtime/cli/run_session.h"
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
};

struct run_options {
    struct platform_options     platform;
    const char                 *broker, *ca, *initdata_file, *netns, *cache, *receipt;
    struct buffer               nonce;
    uint64_t                    cpus, memory_mib, scratch_mib, timeout_s, cache_max_mib;
    bool                        wants_timeline, wants_console, is_debug;
    struct guest_bundle_options guest;
    struct pod                  pod;
};

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

    return run_session(&(struct run_wishes){ .pod = &options->pod, .receipt = options->receipt, .nonce = buffer_bytes(&options->nonce),
                                             .wants_timeline = options->wants_timeline, .is_debug = options->is_debug },
                       &sandbox, exit_code, err);
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
