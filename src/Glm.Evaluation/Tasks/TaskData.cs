using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>The data of a task as items: every data file with every prompt, split where the task splits it.</summary>
internal sealed class TaskData
{
    private readonly TaskDefinition _task;
    private readonly string _folder;
    private readonly int _shots;
    private readonly int? _limit;

    private TaskData(TaskDefinition task, string root, int? shots, int? limit)
    {
        _task = task;
        _folder = Path.Combine(root, task.Path);
        _shots = task.Prompts.Count > 0 && task.Kind != TaskKind.LanguageModeling ? shots ?? task.Shots : 0;
        _limit = limit;
        var groups = task.Groups.Select(group => (group.Name, Files: DataFiles.Find(_folder, group.Patterns))).ToList();
        foreach (var (group, (name, files)) in task.Groups.Zip(groups))
            if (files.Count == 0)
                throw new GlmException($"{task.File}: {task.Title}: expected data in {_folder} under a name like {string.Join(" or ", group.Patterns)} (plain, .gz, .xz or .zst){(task.Data is { } what ? $": {what};" : ",")} found none");
        string[] examples = task.ShotPattern is { } pattern && _shots > 0 ? [.. DataFiles.Find(_folder, [pattern])] : [];
        if (examples.Length == 0 && task.ShotPattern is not null && _shots > 0)
            throw new GlmException($"{task.File}: {task.Title}: expected solved examples in {_folder} under a name like {task.ShotPattern}{(task.Data is { } form ? $": {form};" : ",")} found none");
        Hash = DataFiles.Hash(groups.SelectMany(group => group.Files).Concat(examples).Select(file => Path.Combine(_folder, file)));
        var pool = examples.SelectMany(Records).Where(record => record.Fault is null).ToList();
        Files = [.. groups.SelectMany(group => group.Files.SelectMany(file => ItemFiles(group.Name, file, pool)))];
        foreach (var file in Files)
            if (file.Items.Count == 0)
                throw new GlmException($"{Path.Combine(_folder, file.Name)}: {task.Title}: expected items, found none{(file.Faults.Count > 0 ? $": {file.Faults[0]}" : "")}");
    }

    /// <summary>The files, in the order of their names.</summary>
    public IReadOnlyList<ItemFile> Files { get; }

    /// <summary>Hash of the data files.</summary>
    public string Hash { get; }

    /// <summary>Solved examples before each question.</summary>
    public int Shots => _shots;

    /// <summary>Whether every group of a task has a file.</summary>
    public static bool IsThere(TaskDefinition task, string root) => task.Groups.All(group => DataFiles.Find(Path.Combine(root, task.Path), group.Patterns).Count > 0);

    /// <summary>Reads the data of a task.</summary>
    /// <param name="task">The task.</param>
    /// <param name="root">Folder of all data.</param>
    /// <param name="shots">Solved examples before each question; those that the task wants if null.</param>
    /// <param name="limit">Most items of a file.</param>
    /// <exception cref="GlmException">Data is missing or empty, or no item of a file can be used.</exception>
    public static TaskData Load(TaskDefinition task, string root, int? shots = null, int? limit = null) => new(task, root, shots, limit);

    private IEnumerable<DataRecord> Records(string file) => DataReader.Read(Path.Combine(_folder, file), _task).Where(record => record.Fields is not { } fields || !Skipped(fields));

    private bool Skipped(JsonObject fields) => _task.Skip.Any(skip => Attempt(() => Template.Text(Template.Find(fields, skip.Field))) is { } value && skip.Values.Contains(value));

    private IEnumerable<ItemFile> ItemFiles(string group, string file, List<DataRecord> pool)
    {
        string name = DataReader.PlainName(file);
        var records = Records(file).ToList();
        if (_task.Prompts.Count == 0)
        {
            yield return Items(group, name, file, records, record => OriginalItems.Read(record, _task));
            yield break;
        }
        var parts = _task.SplitBy is { } split
            ? records.GroupBy(record => record.Fields is { } fields ? Attempt(() => split.Text(fields)) ?? "" : "").Select(part => (Value: (string?)part.Key, Records: part.ToList())).ToList()
            : [(null, records)];
        foreach (var (value, part) in parts)
        {
            string partGroup = group;
            if (_task.SplitGroups is { } groups && !groups.TryGetValue(value!, out partGroup!))
                throw new GlmException($"{_task.File}: groups: expected one with \"{value}\", which is in {Path.Combine(_folder, file)}, found none");
            foreach (var prompt in _task.Prompts)
            {
                var builder = new ItemBuilder(_task, prompt, _shots, pool.Count > 0 || _task.ShotPattern is not null ? pool : part, fromItself: _task.ShotPattern is null);
                string partName = name + (value is null ? "" : $"/{value}") + (prompt.Name.Length == 0 ? "" : $"#{prompt.Name}");
                yield return Items(partGroup, partName, file, part, record => builder.Build(record));
            }
        }
    }

    private ItemFile Items(string group, string name, string file, List<DataRecord> records, Func<DataRecord, TaskItem> build)
    {
        var items = new List<TaskItem>();
        var faults = new List<string>();
        foreach (var record in records)
        {
            if (items.Count >= _limit) break;
            string? fault = record.Fault;
            if (fault is null)
                try
                {
                    items.Add(build(record));
                }
                catch (Exception error) when (error is GlmException or InvalidOperationException)
                {
                    // A text may hold half of a surrogate pair, which shows when it is read.
                    fault = error is GlmException ? error.Message : "expected text, found something else";
                }
            if (fault is not null) faults.Add($"{Path.Combine(_folder, file)}: {record.Place}: {fault}");
        }
        return new ItemFile(group, name, items, faults);
    }

    private static string? Attempt(Func<string> text)
    {
        try
        {
            return text();
        }
        catch (GlmException)
        {
            return null; // The record is faulty, which its item will say.
        }
    }
}
