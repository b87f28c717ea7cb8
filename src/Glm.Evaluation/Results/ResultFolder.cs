using System.IO.Compression;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Evaluation;

/// <summary>
/// The results of a run on disk: <c>run.json</c>, and per task <c>TASK.json</c> and <c>TASK.jsonl</c>, whose first line says of which task, data and shots the
/// others are. Lines are appended whole, so that an interrupted run can go on. To be kept, lines may be packed (<c>TASK.jsonl.gz</c>).
/// </summary>
/// <param name="path">The folder.</param>
public sealed class ResultFolder(string path)
{
    /// <summary>Name of the file that says what was run.</summary>
    public const string RunFile = "run.json";

    private const string Packed = ".gz";

    /// <summary>Items may have so many bytes when they are unpacked.</summary>
    private const int LargestFile = 1 << 30;

    private static JsonSerializerOptions Form { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    };

    private static JsonSerializerOptions Indented { get; } = new(Form) { WriteIndented = true };

    /// <summary>The folder.</summary>
    public string Path { get; } = path;

    /// <summary>The folders with a run in or below some folders, in the order of their names.</summary>
    /// <exception cref="GlmException">One does not exist or holds none.</exception>
    public static IReadOnlyList<ResultFolder> Find(IEnumerable<string> folders)
    {
        var found = new List<ResultFolder>();
        foreach (string folder in folders)
        {
            if (!Directory.Exists(folder)) throw new GlmException($"{folder}: no such folder");
            string[] runs = Directory.GetFiles(folder, RunFile, SearchOption.AllDirectories);
            if (runs.Length == 0) throw new GlmException($"{folder}: expected results of glm eval ({RunFile}), found none");
            found.AddRange(runs.Order(StringComparer.Ordinal).Select(file => new ResultFolder(System.IO.Path.GetDirectoryName(file)!)));
        }
        return [.. found.DistinctBy(folder => System.IO.Path.GetFullPath(folder.Path))];
    }

    /// <summary>Keeps others from writing there until it is given back.</summary>
    /// <exception cref="GlmException">Another run writes there.</exception>
    public IDisposable Lock()
    {
        string file = System.IO.Path.Combine(Path, ".lock");
        try
        {
            Directory.CreateDirectory(Path);
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{Path}: expected a folder that no other run writes to, found one that cannot be locked: {error.Message}", error);
        }
    }

    /// <summary>What was run, or null where nothing was.</summary>
    /// <exception cref="GlmException">The file is damaged.</exception>
    public RunResult? ReadRun() => ReadJson<RunResult>(RunFile);

    /// <summary>Says what is run.</summary>
    public void Write(RunResult run) => WriteJson(RunFile, run);

    /// <summary>What a task gave, or null where it is not done.</summary>
    /// <exception cref="GlmException">The file is damaged.</exception>
    public TaskResult? ReadTask(string task) => ReadJson<TaskResult>(task + ".json");

    /// <summary>Every task that is done, in the order of the run.</summary>
    /// <exception cref="GlmException">A file is damaged.</exception>
    public IReadOnlyList<TaskResult> ReadTasks() => ReadRun() is { } run ? [.. run.Tasks.Select(ReadTask).OfType<TaskResult>()] : [];

    /// <summary>Says what a task gave.</summary>
    public void Write(TaskResult result) => WriteJson(result.Task + ".json", result);

    /// <summary>The items of a task that are done; a torn last line is none.</summary>
    /// <exception cref="GlmException">The file is damaged.</exception>
    public IReadOnlyList<ItemResult> ReadItems(string task) => File.Exists(ItemFile(task)) || File.Exists(ItemFile(task) + Packed) ? Lines(task).Items : [];

    /// <summary>Opens the items of a task for more, behind those of an earlier run of the same task.</summary>
    /// <param name="task">What the items are of.</param>
    /// <returns>Where to append, with what is there.</returns>
    /// <exception cref="GlmException">What is there is of something else.</exception>
    public ItemWriter OpenItems(ItemHeader task)
    {
        string file = ItemFile(task.Task);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        if (!File.Exists(file) && !File.Exists(file + Packed)) return new ItemWriter(file, task, [], 0);
        var (header, items, length) = Lines(task.Task);
        if (!File.Exists(file)) AtomicFile.Write(file, stream => stream.Write(Bytes(file)));
        if (header is not null && header != task)
            throw new GlmException($"{file}: expected items of {task}, found those of {header}: choose another --output, or remove the file");
        return new ItemWriter(file, task, items, header is null ? 0 : length);
    }

    internal static string Line<T>(T value) => JsonSerializer.Serialize(value, Form);

    private string ItemFile(string task) => System.IO.Path.Combine(Path, task + ".jsonl");

    private (ItemHeader? Header, List<ItemResult> Items, long Length) Lines(string task)
    {
        string file = ItemFile(task);
        byte[] bytes = Bytes(file);
        ItemHeader? header = null;
        var items = new List<ItemResult>();
        int start = 0;
        for (int number = 1; bytes.AsSpan(start).IndexOf((byte)'\n') is var length && length >= 0; start += length + 1, number++)
            try
            {
                var line = bytes.AsSpan(start, length);
                if (number == 1) header = JsonSerializer.Deserialize<ItemHeader>(line, Form);
                else items.Add(JsonSerializer.Deserialize<ItemResult>(line, Form)!);
            }
            catch (JsonException error)
            {
                throw new GlmException($"{file}: line {number}: expected the result of an item, found something else: {error.Message}", error);
            }
        return (header, items, start);
    }

    private static byte[] Bytes(string file)
    {
        if (File.Exists(file)) return File.ReadAllBytes(file);
        using var memory = new MemoryStream();
        try
        {
            using var stream = new GZipStream(File.OpenRead(file + Packed), CompressionMode.Decompress);
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                memory.Write(buffer, 0, read);
                if (memory.Length > LargestFile) throw new GlmException($"{file}{Packed}: expected at most {LargestFile} bytes of text, found more");
            }
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new GlmException($"{file}{Packed}: cannot be read: {error.Message}", error);
        }
        return memory.ToArray();
    }

    private T? ReadJson<T>(string name) where T : class
    {
        string file = System.IO.Path.Combine(Path, name);
        if (!File.Exists(file)) return null;
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(file), Form) ?? throw new GlmException($"{file}: expected an object, found null");
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{file}: cannot be read: {error.Message}", error);
        }
    }

    private void WriteJson<T>(string name, T value) =>
        AtomicFile.Write(System.IO.Path.Combine(Path, name), stream => stream.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(value, Indented) + "\n")));
}

/// <summary>What the items of a file are of: its first line.</summary>
/// <param name="Task">The task.</param>
/// <param name="Version">Hash of its definition.</param>
/// <param name="Data">Hash of its data.</param>
/// <param name="Shots">Solved examples before each question.</param>
public sealed record ItemHeader(string Task, string Version, string Data, int Shots);

/// <summary>Appends the results of items, each as a whole line.</summary>
public sealed class ItemWriter : IDisposable
{
    private readonly FileStream _stream;

    internal ItemWriter(string path, ItemHeader header, IReadOnlyList<ItemResult> items, long length)
    {
        Items = items;
        try
        {
            _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be written: {error.Message}", error);
        }
        _stream.SetLength(length);
        _stream.Seek(0, SeekOrigin.End);
        if (length == 0) Append(ResultFolder.Line(header));
    }

    /// <summary>The items that were there.</summary>
    public IReadOnlyList<ItemResult> Items { get; }

    /// <summary>Appends some items, which are in the file when this returns.</summary>
    public void Append(IEnumerable<ItemResult> items) => Append(string.Join('\n', items.Select(ResultFolder.Line)));

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Append(string lines)
    {
        if (lines.Length == 0) return;
        _stream.Write(Encoding.UTF8.GetBytes(lines + "\n"));
        _stream.Flush();
    }
}
