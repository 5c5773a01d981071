#!/usr/bin/env bash
# All tests: those that need no ROS, then, where ROS 2 is found, test/ros on the package as colcon
# builds it into build/ros.
# usage: test/ros/run.sh PYTHON, an environment's with the packages of requirements-dev.txt.
# ROS_PYTHONPATH is the PYTHONPATH of a ROS that is sourced; otherwise /opt/ros/jazzy is, or what
# else is in /opt/ros.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$root"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

with_ros() { # sources it; false where there is none for this Python
  if [ -n "${AMENT_PREFIX_PATH:-}" ]; then
    export PYTHONPATH=${ROS_PYTHONPATH:-}
    "$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("rclpy"))'
    return
  fi
  for folder in /opt/ros/jazzy /opt/ros/*; do
    if compgen -G "$folder/lib/python$version/*-packages/rclpy" >/dev/null; then
      set +u
      . "$folder/setup.sh"
      set -u
      return
    fi
  done
  return 1
}

with_colcon() { # for this Python, in its environment or in the system; it builds the package
  "$python" -c 'import colcon_core' 2>/dev/null || /usr/bin/python3 -I -c 'import colcon_core, sys
sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$version" 2>/dev/null
}

# Two files at a time, since many of them wait for processes half of the time.
parallel=(-n 2 --dist loadfile)
if ! (with_ros && with_colcon); then
  exec "$python" -m pytest "${parallel[@]}" # test/ros is skipped there with the reason
fi
"$python" -m pytest "${parallel[@]}" --ignore=test/ros

with_ros
mkdir -p build/ros
cd build/ros # not the checkout: its gaussvae_ros would hide the one that is built
# An environment on top: first the packages of PYTHON's, then those of the system, which hold what
# Ubuntu's ROS imports (yaml, lark, em, catkin_pkg, colcon). So the first tests see nothing of the
# system, nor these anything of the checkout.
"$python" -m venv --clear --without-pip venv
export VIRTUAL_ENV=$PWD/venv PATH=$PWD/venv/bin:$PATH
{
  "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
  /usr/bin/python3 -I -c 'import site, sys
if "%d.%d" % sys.version_info[:2] == sys.argv[1]:
    print(*site.getsitepackages(), sep="\n")' "$version" || true
} >"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/under.pth"

echo "Building the ROS 2 package in build/ros, against $AMENT_PREFIX_PATH"
python -c 'import sys; from colcon_core.command import main; sys.exit(main())' build \
  --base-paths "$root"
set +u
. install/local_setup.bash
set -u
# Without the pytest plugins of ROS, which are for launch tests and do not go with every pytest.
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 exec python -m pytest -p xdist "${parallel[@]}" \
  -c "$root/pyproject.toml" --rootdir "$root" "$root/test/ros"
