namespace Glm.Evaluation.Tests;

/// <summary>Results of runs that never were, for reports.</summary>
internal static class SampleRuns
{
    /// <summary>Writes a run whose tasks have items.</summary>
    public static void Write(string folder, string model, string precision, params (TaskResult Task, IReadOnlyList<ItemResult> Items)[] tasks)
    {
        var results = new ResultFolder(folder);
        foreach (var (task, items) in tasks)
        {
            using (var writer = results.OpenItems(new ItemHeader(task.Task, task.Version, task.Data, task.Shots))) writer.Append(items);
            results.Write(task);
        }
        results.Write(new RunResult
        {
            Version = "0.1.0",
            Command = $"glm eval --model models/{model} --precision {precision}",
            Model = new ModelIdentity { Name = model, Location = $"models/{model}", Hash = "0123456789abcdef", Parameters = 7_000_000, Precision = precision, KvCache = "bf16" },
            Started = DateTimeOffset.UnixEpoch.AddDays(20_000),
            Tasks = [.. tasks.Select(entry => entry.Task.Task)],
            Seconds = 12.5,
            Tokens = 100_000,
        });
    }

    /// <summary>A task of choices: in each category so many are right of so many, of so many choices.</summary>
    public static (TaskResult Task, IReadOnlyList<ItemResult> Items) Choices(string name, int shots, params (string? Category, int Right, int Items, int Choices)[] categories)
    {
        var items = new List<ItemResult>();
        foreach (var (category, right, count, choices) in categories)
            for (int i = 0; i < count; i++)
                items.Add(new ItemResult { File = 0, Item = items.Count, Category = category, Label = i % choices, Choices = choices, Prediction = i < right ? i % choices : (i + 1) % choices });
        return (Result(name, "mul", shots, items, "Accuracy"), items);
    }

    /// <summary>A task of texts with so many bits per byte.</summary>
    public static (TaskResult Task, IReadOnlyList<ItemResult> Items) Texts(string name, params (string? Category, double BitsPerByte)[] texts)
    {
        ItemResult[] items = [.. texts.SelectMany((text, t) => Enumerable.Range(0, 30).Select(i => new ItemResult
        {
            File = 0, Item = (30 * t) + i, Category = text.Category, Bytes = 1000, Words = 200, Tokens = 300, Nats = text.BitsPerByte * 1000 * Math.Log(2) * (0.9 + (0.2 * i / 29)),
        }))];
        return (Result(name, "lm", 0, items, "BPB"), items);
    }

    private static TaskResult Result(string name, string type, int shots, IReadOnlyList<ItemResult> items, string metricName)
    {
        var metric = Metric.Find(metricName)!;
        var metrics = new Dictionary<string, double> { [metricName] = metric.Of(items) };
        var chance = metric.Chance(items) is { } value ? new Dictionary<string, double> { [metricName] = value } : [];
        var overall = new GroupResult("all", items.Count, 0, metrics.ToDictionary(pair => pair.Key, pair => new FileStatistics(pair.Value, pair.Value, pair.Value)), chance);
        return new TaskResult
        {
            Task = name, Title = name, Type = type, Version = "1f0e9d8c7b6a", Data = "a6b7c8d9e0f1", Shots = shots, Metrics = [metricName],
            Files = [new FileResult("all", $"{name}/test.jsonl", items.Count, 0, metrics, chance)], Groups = [overall], Overall = overall, Seconds = 3.5, Tokens = 9000,
        };
    }
}
