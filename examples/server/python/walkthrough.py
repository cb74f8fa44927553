"""Creates, migrates and syncs repositories through a gitsync server, from Python.

    python -m venv venv && venv/bin/pip install grpcio-tools
    venv/bin/python -m grpc_tools.protoc -I gitsync-grpc/proto --python_out=venv --grpc_python_out=venv \\
        gitsync/v1/resources.proto gitsync/v1/git_repository_service.proto
    PYTHONPATH=venv venv/bin/python examples/server/python/walkthrough.py 127.0.0.1:50051 https://github.com/sharkdp/bat
"""

import sys

import grpc
from gitsync.v1 import git_repository_service_pb2 as messages
from gitsync.v1 import git_repository_service_pb2_grpc as services


def wait(service, task_id):
    """Follows a task to its end and returns it."""
    task = None
    for task in service.WatchSyncTask(messages.WatchSyncTaskRequest(task_id=task_id)):
        print(f"  {task.kind} is {task.status}", f"({task.phase})" if task.phase else "")
    return task


def organisation(service, slug):
    """Finds an organisation, or makes it."""
    try:
        return service.GetOrganisation(messages.GetOrganisationRequest(slug=slug))
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return service.CreateOrganisation(messages.CreateOrganisationRequest(slug=slug, name=slug))


def main(server, source):
    service = services.GitRepositoryServiceStub(grpc.insecure_channel(server))
    organisation_id = organisation(service, "walkthrough").id

    print("An empty repository")
    created = service.CreateRepository(
        messages.CreateRepositoryRequest(
            name="my-repo",
            description="My new repository",
            source_url="",  # none: nothing is cloned
            organisation_id=organisation_id,
            is_public=True,
        )
    )
    assert wait(service, created.task_id).status == "completed"

    print("A mirror of", source)
    created = service.CreateRepository(
        messages.CreateRepositoryRequest(
            name="mirror", description="A mirror", source_url=source, organisation_id=organisation_id
        )
    )
    assert wait(service, created.task_id).status == "completed"

    print("A sync")
    synced = service.SyncRepository(messages.SyncRepositoryRequest(repository_id=created.repository.id))
    task = wait(service, synced.task_id)
    print("  commits synced:", task.commits_synced)

    print("The same cloned anew")
    migrated = service.MigrateRepository(
        messages.MigrateRepositoryRequest(repository_id=created.repository.id, force=True)
    )
    assert wait(service, migrated.task_id).status == "completed"

    found = service.GetRepository(messages.GetRepositoryRequest(repository_id=created.repository.id)).repository
    print(f"status: {found.status}, commits: {found.total_commits}, last commit: {found.last_commit_hash}")
    page = messages.ListCommitsRequest(repository_id=found.id, page_size=3)
    for commit in service.ListCommits(page).commits:
        print(" ", commit.hash[:12], commit.author.name, "-", commit.message.splitlines()[0] if commit.message else "")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
