// Plays one stream as a visitor would (start, change of rung, two seeks, end) and reports what it saw.
// Run by player.py as: await play(kind, address, captions), kind one of native, hls, shaka; captions, for native
// alone, the address of a WebVTT file or null.

const media = document.getElementById("media");
const PATIENCE = 10_000; // milliseconds; on a busy machine a start takes two seconds

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const report = {
  ...{ errors: [], notes: [], levels: 0, sounds: 0, captions: 0, cues: [], active: [] },
  ...{ started: -1, first_buffered: -1, duration: -1 },
  ...{ switched_down: false, switched_up: false, sought_middle: -1, sought_end: -1, ended: false },
};

async function until(what, condition) {
  const deadline = performance.now() + PATIENCE;
  while (!condition()) {
    if (media.error) throw new Error(`${what}: media error ${media.error.code}, ${media.error.message}`);
    if (report.errors.length) throw new Error(`${what}: given up`);
    if (performance.now() > deadline) throw new Error(`${what}: timed out at ${media.currentTime} s`);
    await sleep(20);
  }
}

// Each player: open the address, then say how many rungs there are and how to force one.

const players = {
  async native(address, captions) {
    media.src = address;
    if (captions) media.append(Object.assign(document.createElement("track"), { kind: "captions", src: captions }));
    await until("metadata", () => media.readyState >= 1);
    return {
      heights: [],
      sounds: () => 0,
      captions: () => media.textTracks.length,
      caption: () => (media.textTracks[0].mode = "showing"),
    };
  },

  async hls(address) {
    const hls = new Hls({ debug: false });
    let parsed = false;
    hls.on(Hls.Events.ERROR, (_, { fatal, details, error }) => {
      (fatal ? report.errors : report.notes).push(`${details}: ${error?.message ?? ""}`);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => (parsed = true));
    hls.loadSource(address);
    hls.attachMedia(media);
    await until("manifest", () => parsed);
    return {
      heights: hls.levels.map((level) => level.height),
      force: (height) => (hls.currentLevel = hls.levels.findIndex((level) => level.height === height)),
      sounds: () => hls.audioTracks.length,
      captions: () => hls.subtitleTracks.length,
      caption: () => (hls.subtitleTrack = 0),
    };
  },

  async shaka(address) {
    const player = new shaka.Player();
    player.addEventListener("error", ({ detail }) => {
      (detail.severity === shaka.util.Error.Severity.CRITICAL ? report.errors : report.notes).push(`${detail}`);
    });
    await player.attach(media);
    // Captions from the start: those of HLS that are chosen once everything is buffered never show, because shaka
    // waits for the time offset of a further media segment (since shaka-player#9676).
    player.configure({ abr: { enabled: false }, preferredText: [{ language: "en" }] });
    await player.load(address);
    const tracks = () => player.getVariantTracks();
    const active = () => tracks().find((track) => track.active);
    return {
      heights: [...new Set(tracks().map((track) => track.height))].filter(Boolean),
      force: (height) =>
        player.selectVariantTrack(
          tracks().find((track) => track.height === height && track.language === active().language),
          true,
        ),
      sounds: () => player.getAudioTracks().length,
      captions: () => player.getTextTracks().length,
      caption: () => {},
    };
  },
};

async function playOn(what, from) {
  await until(what, () => !media.seeking && media.currentTime > from + 0.3);
  return media.currentTime;
}

// A caption is on the screen for a moment at the least before it is looked at.
async function seek(what, to) {
  media.currentTime = to;
  const at = await playOn(what, to);
  report.active.push([media.currentTime, shown((track) => track.activeCues).map(({ text }) => text)]);
  return at;
}

// Of the text tracks that are on the screen; hidden ones and those of metadata do not count.
function shown(which) {
  const tracks = [...media.textTracks].filter(({ mode }) => mode === "showing");
  return tracks.flatMap((track) => [...(which(track) ?? [])]);
}

const cues = () => shown((track) => track.cues);

// True once pictures of that rung are on the screen and time goes on.
async function pictured(player, height) {
  player.force(height);
  await until(`rung of ${height} lines`, () => media.videoHeight === height);
  await playOn(`playing ${height} lines`, media.currentTime);
  return true;
}

async function story(kind, address, captions) {
  const player = await players[kind](address, captions);
  report.levels = player.heights.length;
  media.play().catch((error) => report.errors.push(`play: ${error.message}`)); // which would wait for ever for data
  report.started = await playOn("start", 0);
  report.first_buffered = media.buffered.length ? media.buffered.start(0) : -1;
  report.duration = media.duration;
  report.sounds = player.sounds();
  report.captions = player.captions();
  if (report.captions) {
    player.caption();
    await until("cues", () => cues().length);
  }
  if (player.heights.length > 1) {
    report.switched_down = await pictured(player, Math.min(...player.heights));
    report.switched_up = await pictured(player, Math.max(...player.heights));
  }
  report.sought_middle = await seek("seek to the middle", media.duration / 2);
  report.sought_end = await seek("seek to near the end", media.duration - 1);
  await until("end", () => media.ended);
  report.ended = media.ended;
  report.cues = cues().map(({ startTime, endTime, text }) => [startTime, endTime, text]);
}

async function play(kind, address, captions) {
  try {
    await story(kind, address, captions);
  } catch (error) {
    report.errors.push(`${error.message ?? error}`);
  }
  report.heard = media.webkitAudioDecodedByteCount > 0;
  report.seen = media.webkitVideoDecodedByteCount > 0;
  report.width = media.videoWidth;
  report.height = media.videoHeight;
  return report;
}

// What shaka-player shows over its seek bar for each time: which part of which file, and how far that is, in levels of
// 255, from the picture in the middle of the time that it stands for.
async function thumbnails(address, storyboard, times) {
  const player = new shaka.Player();
  await player.attach(media);
  player.configure({ abr: { enabled: false } });
  await player.load(address);
  const { id } = await player.addThumbnailsTrack(new URL(storyboard, location).href, "text/vtt"); // whole, or it throws
  const found = [];
  for (const time of times) {
    const shown = await player.getThumbnails(id, time);
    const { positionX: x, positionY: y, width, height, startTime: start, duration: seconds } = shown;
    const sheet = await pictureAt(shown.uris[0]);
    await painted(start + seconds / 2);
    const off = difference(pixels(sheet, x, y, width, height), pixels(media, 0, 0, media.videoWidth, media.videoHeight));
    found.push({ at: time, sheet: new URL(shown.uris[0]).pathname, x, y, width, height, start, seconds, off });
  }
  await player.destroy();
  return found;
}

// Seeks, and waits until the picture of that time is there to be drawn: `seeked` says no more than that there is one.
async function painted(to) {
  let shown = -1;
  const look = (_, { mediaTime }) => {
    shown = mediaTime;
    media.requestVideoFrameCallback(look);
  };
  media.requestVideoFrameCallback(look);
  media.currentTime = to;
  await until("seek to a thumbnail", () => Math.abs(shown - to) < 0.2);
}

async function pictureAt(address) {
  const picture = Object.assign(new Image(), { src: address });
  await picture.decode();
  return picture;
}

function pixels(of, ...part) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(of, ...part, 0, 0, 64, 64);
  return context.getImageData(0, 0, 64, 64).data;
}

const difference = (one, other) => one.reduce((sum, level, at) => sum + Math.abs(level - other[at]), 0) / one.length;
