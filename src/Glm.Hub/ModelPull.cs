namespace Glm.Hub;

/// <summary>What is to be downloaded.</summary>
public sealed record PullRequest
{
    /// <summary>The repository, as OWNER/NAME.</summary>
    public required string Repository { get; init; }

    /// <summary>Branch, tag or commit.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>The directory; the repository's name without its owner in the current one if null.</summary>
    public string? Output { get; init; }

    /// <summary>Patterns of the files that are taken; all, but weights once, if there is none.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Patterns of files that are left.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];
}

/// <summary>What was downloaded.</summary>
/// <param name="Output">The directory.</param>
/// <param name="Files">Files in it, each verified.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="ReceivedBytes">Bytes that came over the network now.</param>
/// <param name="LeftOut">Files of weights that safetensors beside them hold already.</param>
/// <param name="LeftOutBytes">Their bytes.</param>
public sealed record PullResult(string Output, int Files, long Bytes, long ReceivedBytes, IReadOnlyList<string> LeftOut, long LeftOutBytes);

/// <summary>
/// Downloads a repository. Everything goes to <c>OUTPUT.part</c> beside the directory: files that are whole and verified under their names in <c>files</c>, others
/// in <c>parts</c>, each with its state. When all are there, the directory takes its name in one rename, so that nobody finds half a model. An interrupted
/// download goes on where it was; a directory that is there is verified and completed, and what is different in it is left alone and refused.
/// </summary>
public sealed class ModelPull
{
    private const string ConfigFile = "config.json";

    private readonly HubOptions _options;
    private readonly PullRequest _request;
    private readonly HubRepository _repository;
    private readonly Tally _tally;
    private readonly string _output, _staging;

    private ModelPull(HubOptions options, PullRequest request, IProgress<PullProgress>? progress)
    {
        (_options, _request, _tally) = (options, request, new Tally(progress));
        _repository = new HubRepository(request.Repository, request.Revision);
        _output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.Output ?? _repository.Name[(_repository.Name.IndexOf('/') + 1)..]));
        _staging = _output + ".part";
    }

    private string Verified => Path.Combine(_staging, "files");

    private string Parts => Path.Combine(_staging, "parts");

    /// <summary>Downloads.</summary>
    /// <exception cref="GlmException">The hub refuses, fails for too long or sends something else than it lists; a name is unsafe; the disk is too small; another download has the same directory.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what is there stays and can be gone on with.</exception>
    public static async Task<PullResult> RunAsync(HubOptions options, PullRequest request, IProgress<PullProgress>? progress = null, CancellationToken cancellation = default)
    {
        var pull = new ModelPull(options, request, progress);
        try
        {
            return await pull.RunAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{pull._output}: cannot be written: {error.Message.Shown()}", error);
        }
    }

    private async Task<PullResult> RunAsync(CancellationToken cancellation)
    {
        using var hub = new HubConnection(_options);
        _tally.Note("reading the list of files");
        var listed = await HubListing.ReadAsync(hub, new Retries(_options, _tally.Note), _repository, _options.Endpoint, cancellation).ConfigureAwait(false);
        var (files, doubles) = HubSelection.Choose(listed, _request.Include, _request.Exclude);
        if (files.Count == 0) throw new GlmException($"{_repository.Name}: expected files to download, found none that is asked for among {listed.Count}");
        FileNames.Check(_repository.Name, files);

        if (File.Exists(_output)) throw new GlmException($"{_output}: expected a directory or nothing, found a file");
        Directory.CreateDirectory(Path.GetDirectoryName(_output) ?? _output);
        using (Lock())
        {
            _tally.Expect(files.Sum(file => file.Size), files.Count);
            var missing = files.Where(file => !IsThere(file, cancellation)).ToList();
            RefuseFullDisk(missing);
            if (missing.Count > 0 || !Directory.Exists(_output)) await FetchAsync(hub, files, missing, cancellation).ConfigureAwait(false);
            Install(files);
        }
        return new PullResult(_output, files.Count, files.Sum(file => file.Size), _tally.Received, [.. doubles.Select(file => file.Path.Shown())], doubles.Sum(file => file.Size));
    }

    /// <summary>Keeps other downloads out of the directory. The file goes before the lock does, so that one that is there without a lock is what a kill left.</summary>
    private FileStream Lock()
    {
        string path = _staging + ".lock";
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException error)
        {
            throw new GlmException($"{_output}: cannot be locked, as when another download of it is running: {error.Message}", error);
        }
    }

    /// <summary>Whether a file is there already, from an earlier download.</summary>
    /// <exception cref="GlmException">Another file has its name.</exception>
    private bool IsThere(HubFile file, CancellationToken cancellation)
    {
        string final = Below(_output, file), verified = Below(Verified, file);
        foreach (string path in new[] { final, verified }.Where(File.Exists))
        {
            _tally.Note($"checking {file.Path.Shown()}");
            if (file.IsAt(path, cancellation))
            {
                _tally.Found(file.Size);
                _tally.Verified();
                return true;
            }
            if (path == final)
                throw new GlmException($"{final}: expected the hub's file ({file.Size} bytes, {file.Hash.Algorithm} {file.Hash.Hex}), found another: remove it, or choose another directory with --output");
        }
        _tally.Found(PartState.Load(PartOf(file), file, _options.RangeBytes)?.Done.Sum() ?? 0);
        return false;
    }

    private void RefuseFullDisk(List<HubFile> missing)
    {
        long needed = missing.Sum(file => file.Size - (PartState.Load(PartOf(file), file, _options.RangeBytes)?.Done.Sum() ?? 0));
        string folder = Path.GetDirectoryName(_output) ?? _output;
        // What a share of the network has free cannot be asked in this way.
        if (folder.StartsWith(@"\\", StringComparison.Ordinal)) return;
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (needed > free) throw new GlmException($"{_output}: expected {needed} bytes free on its disk, found {free}");
    }

    private async Task FetchAsync(HubConnection hub, List<HubFile> files, List<HubFile> missing, CancellationToken cancellation)
    {
        Directory.CreateDirectory(Verified);
        Directory.CreateDirectory(Parts);
        // What is left of files that the hub has changed since.
        var kept = files.Select(file => Below(Verified, file)).Concat(missing.Select(PartOf)).Concat(missing.Select(file => PartState.FileOf(PartOf(file)))).ToHashSet();
        foreach (string path in Directory.EnumerateFiles(_staging, "*", SearchOption.AllDirectories).Where(path => !kept.Contains(path)).ToList()) File.Delete(path);

        using var connections = new SemaphoreSlim(_options.Connections);
        var download = new FileDownload(hub, _options, connections, _tally);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = _options.Connections, CancellationToken = cancellation };
        // Large files first: at the end, all connections are busy with small ones.
        await Parallel.ForEachAsync(missing.OrderByDescending(file => file.Size), parallel, async (file, token) =>
            await download.RunAsync(_repository.AddressOf(_options.Endpoint, file), file, PartOf(file), Below(Verified, file), token).ConfigureAwait(false)).ConfigureAwait(false);
    }

    /// <summary>Gives the directory its name; or the new files theirs in one that is there, the configuration, without which there is no model, last.</summary>
    private void Install(List<HubFile> files)
    {
        if (!Directory.Exists(_output))
        {
            Directory.Move(Verified, _output);
        }
        else
        {
            foreach (var file in files.Where(file => !File.Exists(Below(_output, file))).OrderBy(file => file.Path == ConfigFile))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(Below(_output, file))!);
                File.Move(Below(Verified, file), Below(_output, file));
            }
        }
        if (Directory.Exists(_staging)) Directory.Delete(_staging, recursive: true);
    }

    private static string Below(string folder, HubFile file) => Path.GetFullPath(Path.Combine(folder, file.Path));

    /// <summary>Part files lie side by side under names of their own, which no name of a hub can meet.</summary>
    private string PartOf(HubFile file) =>
        Path.Combine(Parts, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(file.Path)))[..16] + ".part");
}
