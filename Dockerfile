# syntax=docker/dockerfile:1
# ROS 2 Jazzy with the visual memory: docs/docker.md says how to run it and how it was tested.
#   docker build -t gaussvae_ros:cpu .
#   docker build -t gaussvae_ros:cuda --build-arg TORCH=cu130 .  (or another CUDA build)

FROM ros:jazzy-ros-base AS build
ARG TORCH=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        python3-pip python3-venv ros-jazzy-cv-bridge ros-jazzy-tf2-ros-py \
    && rm -rf /var/lib/apt/lists/*

# The packages of requirements.txt beside those of the system: rclpy imports some of these. numpy is
# 1.26 there, as Ubuntu's cv_bridge was built with it.
RUN python3 -m venv --system-site-packages /opt/venv
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH
COPY requirements.txt requirements-train.txt /tmp/
RUN python3 -m pip install -r /tmp/requirements.txt \
    && if [ -n "$TORCH" ]; then python3 -m pip install \
        "$(grep -o '^torch==[0-9.]*' /tmp/requirements-train.txt)" \
        --extra-index-url "https://download.pytorch.org/whl/$TORCH"; fi

WORKDIR /ws
COPY . src/gaussvae_ros
RUN . /opt/ros/jazzy/setup.sh && colcon build --merge-install --cmake-args -DBUILD_TESTING=OFF
# What the package needs from apt to run, by package.xml.
RUN rosdep update --rosdistro jazzy \
    && rosdep install --rosdistro jazzy --from-paths src --ignore-src \
        --dependency-types exec --simulate --reinstall \
    | sed -n 's/.*apt-get install //p' > apt.txt

FROM ros:jazzy-ros-core AS run
ARG TORCH=
COPY --from=build /ws/apt.txt /tmp/
# On a GPU, Triton compiles its kernels' launchers with the system's compiler.
RUN apt-get update \
    && xargs apt-get install -y --no-install-recommends ros-jazzy-rmw-cyclonedds-cpp \
        < /tmp/apt.txt \
    && if [ -n "$TORCH" ]; then \
        apt-get install -y --no-install-recommends gcc libc6-dev python3-dev; fi \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
COPY --from=build /ws/install /ws/install
COPY docker/entrypoint.sh /

# uid 1000 in Ubuntu's image. Kernels were compiled by colcon for the kind of CPU that builds the
# image, and any user can read that; on another kind the nodes compile into the user's cache.
RUN mkdir /memory && chown ubuntu:ubuntu /memory
USER ubuntu
ENV PYTHONUNBUFFERED=1

VOLUME /memory
# Ctrl-C for launch, which hands it on to the nodes; they write what they still hold.
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "gaussvae_ros", "memory.launch.py", "bank:=/memory/memory.db"]

# For `gaussvae train` and its curves: docker build --target train .
FROM run AS train
ARG TORCH=cpu
USER root
COPY requirements.txt requirements-train.txt /tmp/
RUN /opt/venv/bin/python3 -m pip install --no-cache-dir -r /tmp/requirements-train.txt \
    --extra-index-url "https://download.pytorch.org/whl/$TORCH"
USER ubuntu
CMD ["/opt/venv/bin/tensorboard", "--logdir", "/runs", "--bind_all"]

FROM run
