using System.Text.Json;

namespace Glm.Evaluation;

/// <summary>What a task gave.</summary>
/// <param name="Task">Its name.</param>
/// <param name="Metrics">Its numbers by name.</param>
/// <param name="Items">How many items (documents, questions) they are of.</param>
/// <param name="Errors">Items that could not be used, one line each.</param>
public sealed record EvaluationResult(string Task, IReadOnlyDictionary<string, double> Metrics, int Items, IReadOnlyList<string> Errors)
{
    private static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary><c>{"task", "metrics": {name: number}, "items", "errors": [text]}</c>.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);
}

/// <summary>How far a task is.</summary>
/// <param name="Items">Items done.</param>
/// <param name="Metric">The task's main number so far.</param>
public readonly record struct EvaluationProgress(int Items, double Metric);
