# What binding.gyp includes. The package has this file and not that one: with that in it, npm would build the addon at each
# install from a lock file, whatever package.json says.
{
  "targets": [
    {
      "target_name": "millrace",
      "sources": [
        "addon.cc",
        "arguments.cc",
        "bell.cc",
        "crc32c.cc",
        "disk.cc",
        "errors.cc",
        "file.cc",
        "frames.cc",
        "glibc.cc",
        "handles.cc",
        "jobs.cc",
        "locks.cc",
        "mapping.cc",
        "preparation.cc",
        "reaper.cc",
        "record_calls.cc",
        "steps.cc",
        "threads.cc",
        "wake.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # No C++ exceptions: a wrong call throws in JavaScript, which is a status to check here, and the unwinder that a
      # static libgcc brings along would need glibc 2.35 (see native/glibc.cc).
      # A thread that is terminated in a call can't throw any more: that is no reason to end the process.
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
      "cflags": ["-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
      # -fno-gnu-unique: two copies of the addon in one process must share nothing.
      "cflags_cc": ["-std=gnu++17", "-fno-gnu-unique"],
      "ldflags": [
        "-static-libstdc++",
        "-static-libgcc",
        # Only Node's two entry points show, and references within the addon are bound when it is linked.
        "-Wl,--version-script=<(module_root_dir)/native/exports.map",
        # The reaper's thread may outlive the worker that loaded the addon, and Node dlcloses what a worker loaded.
        "-Wl,-z,nodelete"
      ],
      "conditions": [["OS!='linux'", { "type": "none", "sources": [] }]]
    }
  ]
}
