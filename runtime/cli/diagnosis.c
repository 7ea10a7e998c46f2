#include "runtime/cli/diagnosis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>

#include "base/file.h"
#include "base/process.h"
#include "runtime/sandbox/guest_bundle.h"
#include "runtime/cli/snp_status.h"

enum { SMALL_FILE_MAX = 64 << 10, LOG_LEN_MAX = 4 << 20, PROGRAM_OUTPUT_MAX = 1 << 20, PROGRAM_TIMEOUT_MS = 60000 };
enum { SNP_KERNEL_MAJOR = 6, SNP_KERNEL_MINOR = 11, TDX_KERNEL_MAJOR = 6, TDX_KERNEL_MINOR = 16 };
enum { KLOG_READ_ALL = 3 };

void diagnosis_free(struct diagnosis *d)
{
    host_free(&d->host);
}

const char *finding_level_name(enum finding_level level)
{
    return level == FINDING_GOOD ? "ok" : level == FINDING_NOTE ? "note" : "missing";
}

bool diagnosis_has_missing(const struct diagnosis *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->findings[i].level == FINDING_MISSING)
            return true;
    return false;
}

void diagnosis_add(struct diagnosis *d, enum finding_level level, const char *what, const char *mend, const char *found, ...)
{
    struct finding *f = &d->findings[d->n];
    va_list         args;

    if (d->n == FINDINGS_MAX)
        abort(); /* their number does not depend on the host */
    *f = (struct finding){ .level = level, .what = what, .mend = level == FINDING_GOOD ? NULL : mend };
    va_start(args, found);
    (void) vsnprintf(f->found, sizeof f->found, found, args); /* cut by design */
    va_end(args);
    for (char *c = f->found; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    d->n++;
}

/* ---- files below the root ---- */

static bool read_below(const char *root, const char *path, size_t most, struct buffer *out)
{
    AUTO(text) char *whole = NULL;
    struct err       err;

    if (asprintf(&whole, "%s%s", root, path) < 0)
        abort();
    return file_read(whole, most, out, &err);
}

static bool exists(const char *root, const char *path)
{
    AUTO(text) char *whole = NULL;

    if (asprintf(&whole, "%s%s", root, path) < 0)
        abort();
    return access(whole, F_OK) == 0;
}

/* The first line of a small file; "" when there is none. */
static const char *line_of(const char *root, const char *path, struct buffer *text)
{
    text->len = 0;
    if (!read_below(root, path, SMALL_FILE_MAX, text))
        text->len = 0;
    char *line = (char *) (uintptr_t) buffer_text(text); /* ours */

    line[strcspn(line, "\n")] = 0;
    return line;
}

/* ---- the checks, in the order in which they are printed ---- */

static void check_cpu(struct diagnosis *d)
{
    const struct host *h     = &d->host;
    const char        *name  = strstr((const char *) h->cpuinfo.at, "model name");
    const char        *colon = name ? strchr(name, ':') : NULL;
    bool               is_amd = host_cpu_has(h, "svm"), is_intel = host_cpu_has(h, "vmx");

    diagnosis_add(d, FINDING_GOOD, "CPU", NULL, "%.*s", colon ? (int) strcspn(colon + 1, "\n") - 1 : 7,
                  colon && colon[1] ? colon + 2 : "unknown");
    diagnosis_add(d, is_amd || is_intel ? FINDING_GOOD : FINDING_NOTE, "hardware virtualisation",
                  host_cpu_has(h, "hypervisor") ? "this is a virtual machine: nested virtualisation is for the outer hypervisor to allow"
                                                : "enable SVM or VT-x in the firmware setup",
                  "%s", is_amd ? "svm (AMD)" : is_intel ? "vmx (Intel)" : "neither svm nor vmx");
    diagnosis_add(d, host_cpu_has(h, "sev_snp") ? FINDING_GOOD : FINDING_NOTE, "SEV-SNP in the CPU",
                  "an EPYC 7003 or later; in the firmware setup: SMEE, SEV-SNP, RMP coverage, SEV-ES ASID limit above 1",
                  "%s", host_cpu_has(h, "sev_snp") ? "sev_snp" : "no");
    diagnosis_add(d, host_cpu_has(h, "tdx_host_platform") ? FINDING_GOOD : FINDING_NOTE, "TDX in the CPU",
                  "a Xeon of the 4th generation (some) or later; in the firmware setup: TME-MT, TDX, SEAM loader", "%s",
                  host_cpu_has(h, "tdx_host_platform") ? "tdx_host_platform" : "no");
}

static bool is_at_least(unsigned major, unsigned minor, unsigned wanted_major, unsigned wanted_minor)
{
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

static void check_kernel(struct diagnosis *d, const char *root)
{
    AUTO(buffer) struct buffer text    = { 0 };
    const char                *release = line_of(root, "/proc/sys/kernel/osrelease", &text);
    unsigned                   major = 0, minor = 0;

    if (sscanf(release, "%u.%u", &major, &minor) != 2) {
        diagnosis_add(d, FINDING_NOTE, "host kernel", NULL, "its release cannot be read");
        return;
    }
    bool can_snp = is_at_least(major, minor, SNP_KERNEL_MAJOR, SNP_KERNEL_MINOR);
    bool can_tdx = is_at_least(major, minor, TDX_KERNEL_MAJOR, TDX_KERNEL_MINOR);
    diagnosis_add(d, can_tdx ? FINDING_GOOD : FINDING_NOTE, "host kernel",
                  can_snp ? "--tee tdx needs Linux 6.16" : "--tee snp needs Linux 6.11, --tee tdx 6.16", "%s", release);

    const char *cmdline = line_of(root, "/proc/cmdline", &text);
    bool        is_bad  = strstr(cmdline, "iommu=pt") || strstr(cmdline, "iommu=off") || strstr(cmdline, "amd_iommu=off");
    if (is_bad)
        diagnosis_add(d, FINDING_NOTE, "host kernel command line", "SEV-SNP needs the IOMMU to translate: leave these out",
                      "has iommu=pt or iommu=off");
}

/* A module, or built in: either way it has a folder. */
static void check_module(struct diagnosis *d, const char *root, const char *name, const char *what, const char *mend)
{
    AUTO(text) char *path = NULL;

    if (asprintf(&path, "/sys/module/%s", name) < 0)
        abort();
    diagnosis_add(d, exists(root, path) ? FINDING_GOOD : FINDING_NOTE, what, mend, "%s",
                  exists(root, path) ? "loaded" : "not loaded");
}

static void check_device(struct diagnosis *d, const char *root, const char *path, const char *absent_mend)
{
    AUTO(text) char *whole = NULL;

    if (asprintf(&whole, "%s%s", root, path) < 0)
        abort();
    AUTO(fd) int fd = open(whole, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        diagnosis_add(d, FINDING_GOOD, path, NULL, "opens");
    else if (errno == EACCES || errno == EPERM)
        diagnosis_add(d, FINDING_NOTE, path, "add this user to the group that owns it (kvm), and log in again",
                      "is there, but this user may not open it");
    else if (errno == ENOENT)
        diagnosis_add(d, FINDING_NOTE, path, absent_mend, "is not there");
    else
        diagnosis_add(d, FINDING_NOTE, path, absent_mend, "does not open: %s", strerror(errno));
}

static void check_kvm(struct diagnosis *d, const char *root)
{
    bool is_intel = strstr((const char *) d->host.cpuinfo.at, "GenuineIntel");

    check_module(d, root, is_intel ? "kvm_intel" : "kvm_amd", is_intel ? "module kvm_intel" : "module kvm_amd",
                 is_intel ? "modprobe kvm_intel" : "modprobe kvm_amd");
    check_device(d, root, "/dev/kvm", "it comes with kvm_amd or kvm_intel; without it guests run, slowly, under --accel tcg");
}

static void check_snp(struct diagnosis *d, const char *root)
{
    AUTO(text) char  *device = NULL;
    struct snp_status status;
    struct err        err;

    diagnosis_add(d, d->host.has_snp ? FINDING_GOOD : FINDING_NOTE, "kvm_amd sev_snp",
                  "reload kvm_amd once the CPU, the firmware setup and the kernel have it; dmesg names the first that has not",
                  "%s", d->host.has_snp ? "Y" : "not on");
    if (!d->host.has_snp && !host_cpu_has(&d->host, "sev_snp"))
        return;
    check_device(d, root, "/dev/sev", "modprobe ccp");
    if (asprintf(&device, "%s/dev/sev", root) < 0)
        abort();
    if (!snp_status_ask(device, &status, &err)) {
        diagnosis_add(d, FINDING_NOTE, "SNP platform", "ask again as root", "%s", err.text);
        return;
    }
    diagnosis_add(d, status.is_initialised && status.has_rmp ? FINDING_GOOD : FINDING_NOTE, "SNP platform",
                  "the security processor is started by kvm_amd; dmesg says why it was not",
                  "firmware %u.%u build %u, %s, RMP %s, %u guests, TCB %016llx", status.api_major, status.api_minor, status.build,
                  status.is_initialised ? "initialised" : "not initialised", status.has_rmp ? "initialised" : "not initialised",
                  status.n_guests, (unsigned long long) status.reported_tcb);
}

/* Lines of the kernel's log that tell about `word`: the last one. Without the right to read it, none. */
static bool kernel_said(const char *root, const char *word, char *line, size_t room)
{
    AUTO(buffer) struct buffer log   = { 0 };
    const char                *found = NULL;

    if (root[0]) {
        if (!read_below(root, "/dmesg", LOG_LEN_MAX, &log))
            return false;
    } else {
        int n = klogctl(KLOG_READ_ALL, (char *) buffer_grow(&log, LOG_LEN_MAX), LOG_LEN_MAX);

        if (n <= 0)
            return false;
        log.len = (size_t) n;
    }
    for (const char *at = buffer_text(&log); (at = strstr(at, word)); at++)
        found = at;
    if (found)
        (void) snprintf(line, room, "%.*s", (int) strcspn(found, "\n"), found); /* cut by design */
    return found != NULL;
}

static void check_tdx(struct diagnosis *d, const char *root)
{
    char line[FINDING_TEXT_MAX];

    diagnosis_add(d, d->host.has_tdx ? FINDING_GOOD : FINDING_NOTE, "kvm_intel tdx",
                  "modprobe kvm_intel tdx=1; it stays N when the TDX module does not start", "%s",
                  d->host.has_tdx ? "Y: the TDX module is initialised" : "not on");
    if (kernel_said(root, "virt/tdx: ", line, sizeof line))
        diagnosis_add(d, FINDING_GOOD, "TDX module", NULL, "the kernel says: %s", line + strlen("virt/tdx: "));
    else if (host_cpu_has(&d->host, "tdx_host_platform"))
        diagnosis_add(d, FINDING_NOTE, "TDX module", "read dmesg as root, for lines with virt/tdx", "the kernel's log is not readable or silent");
    if (d->host.has_tdx)
        diagnosis_add(d, exists(root, "/var/run/tdx-qgs/qgs.socket") ? FINDING_GOOD : FINDING_NOTE, "quote generation service",
                      "start Intel's qgsd, and name its socket with --quote-socket; without it a guest gets no quote",
                      exists(root, "/var/run/tdx-qgs/qgs.socket") ? "/var/run/tdx-qgs/qgs.socket"
                                                                  : "not at /var/run/tdx-qgs/qgs.socket");
}

/* ---- programs ---- */

static bool output_of(const char *const *argv, struct buffer *out)
{
    int        code = 0;
    struct err err;

    return process_run(argv, (struct bytes){ 0 }, PROGRAM_OUTPUT_MAX, PROGRAM_TIMEOUT_MS, out, &code, &err) && code == 0;
}

static bool qemu_lists(const char *option, const char *word)
{
    const char *const          argv[] = { "qemu-system-x86_64", option, "help", NULL };
    AUTO(buffer) struct buffer out    = { 0 };

    return output_of(argv, &out) && strstr(buffer_text(&out), word);
}

static void check_qemu(struct diagnosis *d)
{
    const struct host *h = &d->host;

    host_ask_qemu(&d->host);
    if (!h->has_qemu) {
        diagnosis_add(d, FINDING_MISSING, "QEMU", "apt-get install qemu-system-x86", "is not installed, or does not start");
        return;
    }
    diagnosis_add(d, host_has_qemu(h, 7, 0) ? FINDING_GOOD : FINDING_MISSING, "QEMU", "version 7 or later is needed", "%u.%u",
                  h->qemu_major, h->qemu_minor);
    bool has_snp = qemu_lists("-object", "sev-snp-guest"), has_tdx = qemu_lists("-object", "tdx-guest");
    diagnosis_add(d, has_snp ? FINDING_GOOD : FINDING_NOTE, "QEMU for SNP", "--tee snp needs QEMU 9.1", "%s",
                  has_snp ? "has sev-snp-guest" : "has no sev-snp-guest");
    diagnosis_add(d, has_tdx ? FINDING_GOOD : FINDING_NOTE, "QEMU for TDX", "--tee tdx needs QEMU 10.1, built with KVM", "%s",
                  has_tdx ? "has tdx-guest" : "has no tdx-guest");
}

static bool check_swtpm(struct diagnosis *d)
{
    static const char *const   argv[] = { "swtpm", "--version", NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    bool                       is_here = output_of(argv, &out);

    diagnosis_add(d, is_here ? FINDING_GOOD : FINDING_NOTE, "swtpm", "--tee tpm needs it: apt-get install swtpm", "%.*s",
                  is_here ? (int) strcspn(buffer_text(&out), ",\n") : 16, is_here ? buffer_text(&out) : "is not installed");
    return is_here;
}

/* ---- the rest of the host ---- */

static void check_host(struct diagnosis *d, const char *root)
{
    bool is_v2 = exists(root, "/sys/fs/cgroup/cgroup.controllers");

    diagnosis_add(d, exists(root, "/dev/vhost-vsock") ? FINDING_GOOD : FINDING_NOTE, "/dev/vhost-vsock",
                  "not needed: without it the agent is reached by virtio-serial; modprobe vhost_vsock brings it", "%s",
                  exists(root, "/dev/vhost-vsock") ? "is there: --channel auto takes vsock where it may open it" : "is not there");
    diagnosis_add(d, is_v2 || exists(root, "/sys/fs/cgroup") ? FINDING_GOOD : FINDING_NOTE, "cgroups",
                  "mount cgroup2 at /sys/fs/cgroup", "%s",
                  is_v2 ? "v2" : exists(root, "/sys/fs/cgroup/unified") ? "v1 with v2 beside it" : exists(root, "/sys/fs/cgroup") ? "v1" : "none");
}

static void check_guest(struct diagnosis *d, const struct diagnosis_options *o)
{
    static const enum tee with_ovmf[] = { TEE_SNP, TEE_TDX };

    AUTO(guest_bundle) struct guest_bundle bundle  = { 0 };
    struct guest_bundle_options            options = { .directory = o->guest_directory, .tee = TEE_SIM };
    struct err                             err;
    bool                                   is_here = guest_bundle_find(&options, &bundle, &err);

    diagnosis_add(d, is_here ? FINDING_GOOD : FINDING_MISSING, "guest image", "build it (./demo does), or name one with --guest DIR",
                  "%s", is_here ? bundle.initrd : "not found, or not whole");
    for (size_t i = 0; is_here && i < sizeof with_ovmf / sizeof *with_ovmf; i++) {
        AUTO(guest_bundle) struct guest_bundle ovmf = { 0 };

        options = (struct guest_bundle_options){ .directory = o->guest_directory, .tee = with_ovmf[i], .firmware = "ovmf", .root = o->root };
        bool is_found = guest_bundle_find(&options, &ovmf, &err);
        diagnosis_add(d, is_found ? FINDING_GOOD : FINDING_NOTE, with_ovmf[i] == TEE_SNP ? "OVMF for SNP" : "OVMF for TDX",
                      with_ovmf[i] == TEE_SNP ? "Debian: ovmf-amdsev; without it stage0 boots, which has not run on SNP hardware yet"
                                              : "Debian: ovmf-inteltdx; without it stage0 boots, which has not run on TDX hardware yet",
                      "%s", is_found ? ovmf.firmware : "not installed");
    }
}

/* ---- what follows from it ---- */

static void check_tees(struct diagnosis *d, bool has_swtpm)
{
    static const struct { enum tee tee; const char *what; } rows[] = { { TEE_SNP, "platform snp" }, { TEE_TDX, "platform tdx" } };
    struct err err;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool can = host_check_tee(&d->host, rows[i].tee, &err);

        diagnosis_add(d, can ? FINDING_GOOD : FINDING_NOTE, rows[i].what, NULL, "%s", can ? "can be launched" : err.text);
    }
    diagnosis_add(d, has_swtpm ? FINDING_GOOD : FINDING_NOTE, "platform tpm", NULL, "%s",
                  has_swtpm ? "can be launched; it measures the boot and hides nothing from this host" : "cannot be launched: no swtpm");
}

static void check_choice(struct diagnosis *d)
{
    enum accelerator accel;
    const char      *why;
    struct err       err;

    d->is_chosen = host_choose_tee("auto", &d->host, &d->tee, &why, &err);
    if (d->is_chosen)
        diagnosis_add(d, d->tee == TEE_SIM ? FINDING_NOTE : FINDING_GOOD, "--tee auto chooses", "sim protects nothing: for development only",
                      "%s: %s", tee_name(d->tee), why);
    if (d->is_chosen && !host_check_tee(&d->host, d->tee, &err))
        diagnosis_add(d, FINDING_MISSING, "what is chosen", "mend it, or choose --tee sim, which protects nothing", "%s", err.text);
    if (host_choose_accelerator("auto", &d->host, &accel, &why, &err))
        diagnosis_add(d, FINDING_GOOD, "--accel auto chooses", NULL, "%s: %s", accelerator_name(accel), why);
}

FALLIBLE diagnosis_make(const struct diagnosis_options *options, struct diagnosis *out, struct err *err)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    if (!host_look(options->root, &d.host, err))
        return false;
    check_cpu(&d);
    check_kernel(&d, options->root);
    check_kvm(&d, options->root);
    check_snp(&d, options->root);
    check_tdx(&d, options->root);
    check_qemu(&d);
    bool has_swtpm = check_swtpm(&d);
    check_host(&d, options->root);
    check_guest(&d, options);
    check_tees(&d, has_swtpm);
    check_choice(&d);
    *out = d;
    d    = (struct diagnosis){ 0 }; /* moved */
    return true;
}
