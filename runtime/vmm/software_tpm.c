#include "runtime/vmm/software_tpm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"

enum { NOBODY = 65534, STATE_FD = 3, SOCKET_FD = 4, ANSWER_LEN_MAX = 4096, MAKE_TIMEOUT_MS = 60000 };
enum { ST_SESSIONS = 0x8002, CC_CREATE_PRIMARY = 0x131, RH_OWNER = 0x40000001, RS_PASSWORD = 0x40000009,
       ALG_SHA256 = 0x0b, ALG_NULL = 0x10, ALG_ECDSA = 0x18, ALG_ECC = 0x23, CURVE_P256 = 3,
       RESTRICTED_SIGNING_KEY = 0x50072 }; /* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign */

/* In memory that swtpm can write: its file backend wants a path, and /proc gives it one. */
static FALLIBLE state_open(struct bytes state, int *out_fd, struct err *err)
{
    AUTO(fd) int fd = memfd_create("tpm", MFD_CLOEXEC);

    if (fd < 0)
        return err_os(err, "TPM state");
    if (!write_all(fd, state, err))
        return context(err, "TPM state");
    *out_fd = TAKE_FD(fd);
    return true;
}

static FALLIBLE swtpm_start(const char *channel, const char *flags, int state_fd, int socket_fd, int words_fd,
                            struct process *out, struct err *err)
{
    char              where[32];
    const char *const argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", "backend-uri=file:///proc/self/fd/3", channel,
                                 where, "--terminate", "--seccomp", "action=kill", flags ? "--flags" : NULL,
                                 flags, NULL };
    static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };
    const struct process_fd  fds[]         = { { state_fd, STATE_FD }, { socket_fd, SOCKET_FD },
                                               { words_fd, STDOUT_FILENO }, { words_fd, STDERR_FILENO } };
    struct process_options   options       = { .argv = argv, .environment = environment, .fds = fds,
                                               .n_fds = 4, .new_group = true, .dies_with_us = true, .confined = true,
                                               .user = geteuid() == 0 ? NOBODY : 0 };

    (void) snprintf(where, sizeof where, strcmp(channel, "--fd") == 0 ? "%d" : "type=unixio,clientfd=%d", SOCKET_FD); /* fits */
    if (process_start(&options, out, err))
        return true;
    if (err->kind == ERR_NOT_FOUND)
        return fail_with(err, ERR_NOT_FOUND, "swtpm is not in PATH; install it: apt-get install swtpm");
    return context(err, "start the TPM");
}

/* The same key as the guest's agent makes, since both ask for the same one of the same seeds. */
static FALLIBLE ask_for_ak(int fd, struct err *err)
{
    uint8_t       room[128], area_room[64];
    struct writer command = writer_over(room, sizeof room), area = writer_over(area_room, sizeof area_room);

    put_u16be(&area, ALG_ECC);
    put_u16be(&area, ALG_SHA256); /* of its name */
    put_u32be(&area, RESTRICTED_SIGNING_KEY);
    put_u16be(&area, 0); /* no policy */
    put_u16be(&area, ALG_NULL); /* it encrypts nothing */
    put_u16be(&area, ALG_ECDSA);
    put_u16be(&area, ALG_SHA256);
    put_u16be(&area, CURVE_P256);
    put_u16be(&area, ALG_NULL);
    put_u32be(&area, 0); /* empty x, empty y */

    enum { BEFORE_AREA = 10 + 4 + 4 + 9 + 6, AFTER_AREA = 2 + 2 + 4 };
    put_u16be(&command, ST_SESSIONS);
    put_u32be(&command, (uint32_t) (BEFORE_AREA + area.len + AFTER_AREA));
    put_u32be(&command, CC_CREATE_PRIMARY);
    put_u32be(&command, RH_OWNER);
    put_u32be(&command, 9); /* one session: the empty password */
    put_u32be(&command, RS_PASSWORD);
    put_zeros(&command, 5);
    put_u16be(&command, 4); /* no secret of ours in it */
    put_u32be(&command, 0);
    put_u16be(&command, (uint16_t) area.len);
    put(&command, writer_bytes(&area));
    put_u16be(&command, 0); /* nothing from outside */
    put_u32be(&command, 0); /* no PCRs */
    return writer_ok(&area, err) && writer_ok(&command, err) && write_all(fd, writer_bytes(&command), err);
}

FALLIBLE software_tpm_answer_read(struct bytes answer, struct bytes *ak, struct err *err)
{
    struct reader r   = reader_over(answer);
    uint16_t      tag = take_u16be(&r);
    uint32_t      len = take_u32be(&r), code = take_u32be(&r);

    if (!reader_ok(&r, err))
        return context(err, "answer of the TPM");
    if (code != 0)
        return fail_with(err, ERR_OS, "answer of the TPM: code %#x", code);
    if (tag != ST_SESSIONS || len != answer.len)
        return fail_with(err, ERR_MALFORMED, "answer of the TPM: tag %#x, %u bytes of %zu", tag, len, answer.len);
    take(&r, 8); /* handle, length of the parameters */
    const uint8_t *at   = r.left.at;
    uint16_t       size = take_u16be(&r);
    take(&r, size);
    if (!reader_ok(&r, err))
        return context(err, "answer of the TPM");
    if (size == 0 || size > TPM_AK_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "answer of the TPM: a public area of %u bytes", size);
    *ak = (struct bytes){ at, size + 2U };
    return true;
}

static FALLIBLE make_with(int ours, struct buffer *ak, struct err *err)
{
    uint8_t      answer[ANSWER_LEN_MAX];
    struct bytes area;

    if (!ask_for_ak(ours, err))
        return context(err, "ask the TPM");
    ssize_t n = recv(ours, answer, sizeof answer, 0); /* it writes an answer at once; a part of one is refused below */
    if (n <= 0)
        return n == 0 ? fail_with(err, ERR_OS, "the TPM does not answer") : err_os(err, "ask the TPM");
    if (!software_tpm_answer_read((struct bytes){ answer, (size_t) n }, &area, err))
        return false;
    buffer_append(ak, area);
    return true;
}

/* Seeds and key, from a swtpm that finds no state and so begins one. */
static FALLIBLE make_identity(struct buffer *state, struct buffer *ak, struct err *err)
{
    AUTO(fd) int                 memory = NO_FD, ours = NO_FD, theirs = NO_FD, nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    AUTO(process) struct process swtpm  = NO_PROCESS;
    int                          ends[2], status;

    if (nowhere < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "channel to the TPM");
    ours   = ends[0];
    theirs = ends[1];
    if (!state_open((struct bytes){ 0 }, &memory, err) ||
        !swtpm_start("--fd", "not-need-init,startup-clear", memory, theirs, nowhere, &swtpm, err))
        return false;
    (void) close(TAKE_FD(theirs)); /* it has its own */
    if (!make_with(ours, ak, err))
        return false;
    (void) close(TAKE_FD(ours)); /* which ends it */
    if (!process_wait(&swtpm, MAKE_TIMEOUT_MS, &status, err))
        return context(err, "end the TPM");
    if (lseek(memory, 0, SEEK_SET) < 0)
        return err_os(err, "TPM state");
    return file_read_fd(memory, TPM_STATE_LEN_MAX, state, err) || context(err, "TPM state");
}

static void path_of(const char *folder, const char *name, char **out)
{
    if (asprintf(out, "%s/%s", folder, name) < 0)
        abort();
}

FALLIBLE software_tpm_make(const char *folder, struct err *err)
{
    AUTO(buffer) struct buffer state = { 0 }, ak = { 0 };
    AUTO(text) char           *made = NULL, *state_path = NULL, *ak_path = NULL;

    path_of(folder, TPM_STATE_FILE, &state_path);
    if (access(state_path, F_OK) == 0)
        return true;
    if (asprintf(&made, "%s.new%d", folder, getpid()) < 0)
        abort();
    path_of(made, TPM_AK_FILE, &ak_path);
    AUTO(text) char *made_state = NULL;
    path_of(made, TPM_STATE_FILE, &made_state);
    if (!make_identity(&state, &ak, err) || !directory_make(made, err))
        return context(err, "TPM identity");
    bool is_good = file_write(made_state, buffer_bytes(&state), 0600, err) && file_write(ak_path, buffer_bytes(&ak), 0644, err);
    struct err rename_err = { 0 };

    if (is_good && rename(made, folder) < 0 && access(state_path, F_OK) != 0)
        is_good = err_os(err, "%s", folder);
    if (!directory_remove(made, &rename_err) && is_good) /* left only where another maker was first */
        return context(err, "TPM identity");
    return is_good || context(err, "TPM identity");
}

FALLIBLE software_tpm_start(const char *folder, int control_fd, int words_fd, struct process *out, struct err *err)
{
    AUTO(buffer) struct buffer state = { 0 };
    AUTO(text) char           *path  = NULL;
    AUTO(fd) int               memory = NO_FD;

    path_of(folder, TPM_STATE_FILE, &path);
    if (!file_read(path, TPM_STATE_LEN_MAX, &state, err) || !state_open(buffer_bytes(&state), &memory, err))
        return context(err, "TPM");
    return swtpm_start("--ctrl", NULL, memory, control_fd, words_fd, out, err);
}
