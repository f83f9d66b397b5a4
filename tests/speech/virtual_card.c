/* A sound card without hardware, as a plugin of ALSA's: it plays and records in real time, so that samples in its files
 * mean time. Settings: folder, origin (CLOCK_MONOTONIC, ns), rate, channels. In the folder: microphone.raw is heard and
 * speaker.raw is what sounded, both S16_LE and both beginning at the origin; like hardware, each is open to one at a
 * time; once a file "unplugged" is there, the card is gone, and while a file "stalled" is there, its clock stands still.
 *
 * What it needs of alsa/pcm_ioplug.h (protocol 1.0.2) is declared here, so that no headers need to be installed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long frames_t;
typedef struct { void *address; unsigned first, step; } area_t;
typedef struct ioplug ioplug_t;
typedef struct {
    int (*start)(ioplug_t *);
    int (*stop)(ioplug_t *);
    long (*pointer)(ioplug_t *);
    long (*transfer)(ioplug_t *, const area_t *, frames_t offset, frames_t n);
    int (*close)(ioplug_t *);
    int (*hw_params)(ioplug_t *, void *);
    int (*hw_free)(ioplug_t *);
    int (*sw_params)(ioplug_t *, void *);
    int (*prepare)(ioplug_t *);
    int (*drain)(ioplug_t *);
    int (*pause)(ioplug_t *, int);
    int (*resume)(ioplug_t *);
    int (*poll_descriptors_count)(ioplug_t *);
    int (*poll_descriptors)(ioplug_t *, struct pollfd *, unsigned);
    int (*poll_revents)(ioplug_t *, struct pollfd *, unsigned, unsigned short *);
    void *others[8];
} callback_t;
struct ioplug {
    unsigned version;
    const char *name;
    unsigned flags;
    int poll_fd;
    unsigned poll_events, mmap_rw;
    const callback_t *callback;
    void *private_data, *pcm;
    int stream, state;
    volatile frames_t appl_ptr, hw_ptr;
    int nonblock, access, format;
    unsigned channels, rate;
    frames_t period_size, buffer_size;
};
extern int snd_config_search(void *, const char *, void **);
extern int snd_config_get_string(void *, const char **);
extern int snd_config_get_integer(void *, long *);
extern int snd_pcm_ioplug_create(ioplug_t *, const char *, int stream, int mode);
extern int snd_pcm_ioplug_set_param_list(ioplug_t *, int type, unsigned n, const unsigned *);
extern int snd_pcm_ioplug_set_param_minmax(ioplug_t *, int type, unsigned least, unsigned most);
extern long snd_pcm_avail_update(void *);
enum { ACCESS, FORMAT, CHANNELS, RATE, PERIOD_BYTES, BUFFER_BYTES, PERIODS };
enum { PLAYBACK, CAPTURE };
enum { MMAP_INTERLEAVED = 0, RW_INTERLEAVED = 3, S16_LE = 2 };

typedef struct {
    ioplug_t io;
    int file;
    char folder[256];
    long long origin_ns, started_ns; /* 0: it stands still */
    long long base;  /* frames from the origin to the start */
    frames_t now;    /* frames since the start */
    frames_t moved;  /* frames that were written to the ring, or read */
    frames_t played; /* of those, the ones that sounded */
    short *ring;
} card_t;

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int is_there(const card_t *card, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", card->folder, name);
    return access(path, F_OK) == 0;
}

static int card_prepare(ioplug_t *io) {
    card_t *card = io->private_data;
    if (is_there(card, "unplugged")) return -ENODEV;
    free(card->ring);
    card->ring = calloc(io->buffer_size * io->channels, sizeof(short));
    card->now = card->moved = card->played = card->started_ns = 0;
    return card->ring ? 0 : -ENOMEM;
}

static int card_start(ioplug_t *io) {
    card_t *card = io->private_data;
    if (is_there(card, "unplugged")) return -ENODEV;
    card->started_ns = now_ns();
    card->base = (card->started_ns - card->origin_ns) * io->rate / 1000000000LL;
    return 0;
}

static int card_stop(ioplug_t *io) {
    ((card_t *)io->private_data)->started_ns = 0;
    return 0;
}

static long card_pointer(ioplug_t *io) {
    card_t *card = io->private_data;
    if (is_there(card, "unplugged")) return -ENODEV;
    if (!card->started_ns) return 0;
    if (!is_there(card, "stalled")) card->now = (now_ns() - card->started_ns) * io->rate / 1000000000LL;
    frames_t now = card->now;
    size_t frame_bytes = io->channels * sizeof(short);
    if (io->stream == CAPTURE) return now - card->moved > io->buffer_size ? -EPIPE : (long)(now % io->buffer_size);
    for (; card->played < now && card->played < card->moved; card->played++)
        if (pwrite(card->file, card->ring + card->played % io->buffer_size * io->channels, frame_bytes,
                   (card->base + card->played) * frame_bytes) < 0)
            return -EIO;
    return now > card->moved ? -EPIPE : (long)(now % io->buffer_size);
}

static long card_transfer(ioplug_t *io, const area_t *areas, frames_t offset, frames_t n) {
    card_t *card = io->private_data;
    size_t frame_bytes = io->channels * sizeof(short);
    char *samples = (char *)areas->address + areas->first / 8 + offset * areas->step / 8;
    if (io->stream == CAPTURE) {
        memset(samples, 0, n * frame_bytes);
        if (pread(card->file, samples, n * frame_bytes, (card->base + card->moved) * frame_bytes) < 0) return -EIO;
    } else {
        for (frames_t i = 0; i < n; i++)
            memcpy(card->ring + (card->moved + i) % io->buffer_size * io->channels, samples + i * frame_bytes, frame_bytes);
    }
    card->moved += n;
    return n;
}

static int card_close(ioplug_t *io) {
    card_t *card = io->private_data;
    close(card->file);
    close(io->poll_fd);
    free(card->ring);
    free(card);
    return 0;
}

static int card_poll_revents(ioplug_t *io, struct pollfd *polled, unsigned n, unsigned short *revents) {
    unsigned long long ticks;
    *revents = 0;
    if (read(io->poll_fd, &ticks, sizeof ticks) < 0) return 0;
    long ready = snd_pcm_avail_update(io->pcm);
    if (ready < 0) *revents = POLLERR;
    else if ((frames_t)ready >= io->period_size) *revents = io->stream == PLAYBACK ? POLLOUT : POLLIN;
    return 0;
}

static const callback_t CALLBACK = {
    .start = card_start, .stop = card_stop, .pointer = card_pointer, .transfer = card_transfer, .close = card_close,
    .prepare = card_prepare, .poll_revents = card_poll_revents,
};

static long setting(void *settings, const char *name, long otherwise) {
    void *found;
    long value;
    return snd_config_search(settings, name, &found) || snd_config_get_integer(found, &value) ? otherwise : value;
}

static int opened(card_t *card, int stream) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s.raw", card->folder, stream == PLAYBACK ? "speaker" : "microphone");
    if (is_there(card, "unplugged")) return -ENODEV;
    card->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (card->file < 0) return -errno;
    return flock(card->file, LOCK_EX | LOCK_NB) ? -EBUSY : 0;
}

static int described(ioplug_t *io, unsigned rate, unsigned channels) {
    const unsigned ways[] = {MMAP_INTERLEAVED, RW_INTERLEAVED}, format = S16_LE;
    int failed = snd_pcm_ioplug_set_param_list(io, ACCESS, 2, ways);
    failed |= snd_pcm_ioplug_set_param_list(io, FORMAT, 1, &format);
    failed |= snd_pcm_ioplug_set_param_minmax(io, CHANNELS, channels, channels);
    failed |= snd_pcm_ioplug_set_param_minmax(io, RATE, rate, rate);
    failed |= snd_pcm_ioplug_set_param_minmax(io, PERIOD_BYTES, 64, 1 << 16);
    failed |= snd_pcm_ioplug_set_param_minmax(io, BUFFER_BYTES, 128, 1 << 18);
    return failed | snd_pcm_ioplug_set_param_minmax(io, PERIODS, 2, 64);
}

char __snd_pcm_card_open_dlsym_pcm_001;

int _snd_pcm_card_open(void **pcm, const char *name, void *root, void *settings, int stream, int mode) {
    const struct itimerspec every = {{0, 2000000}, {0, 2000000}};
    const char *folder, *origin;
    void *found;
    card_t *card = calloc(1, sizeof *card);
    if (!card || snd_config_search(settings, "folder", &found) || snd_config_get_string(found, &folder) ||
        snd_config_search(settings, "origin", &found) || snd_config_get_string(found, &origin))
        return -EINVAL;
    snprintf(card->folder, sizeof card->folder, "%s", folder);
    card->origin_ns = atoll(origin);
    int failed = opened(card, stream);
    if (failed) return failed;
    card->io = (ioplug_t){.version = 0x010002, .name = "virtual card", .callback = &CALLBACK, .private_data = card};
    card->io.poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->io.poll_events = POLLIN;
    timerfd_settime(card->io.poll_fd, 0, &every, NULL);
    failed = snd_pcm_ioplug_create(&card->io, name, stream, mode);
    if (failed) return failed;
    failed = described(&card->io, setting(settings, "rate", 48000), setting(settings, "channels", 1));
    *pcm = card->io.pcm;
    return failed;
}
