using System.Text.Json;

namespace Glm.Training;

/// <summary>Something that happened in a run beside its steps: the diary that the paper's authors kept by hand.</summary>
/// <param name="Time">When, in UTC.</param>
/// <param name="Step">Steps that had been done.</param>
/// <param name="Samples">Samples that had been drawn.</param>
/// <param name="Kind"><c>start</c>, <c>resume</c>, <c>overflow</c>, <c>spike</c>, <c>skip</c>, <c>rollback</c>.</param>
/// <param name="Message">What, in words.</param>
public sealed record RunEvent(DateTime Time, long Step, long Samples, string Kind, string Message);

/// <summary>The events of a run, one JSON object a line. Unlike the log's lines, those of steps that were undone stay.</summary>
public sealed class RunEvents(string path)
{
    /// <summary>The file's name in the folder of a run.</summary>
    public const string FileName = "events.jsonl";

    private static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Appends an event.</summary>
    /// <exception cref="GlmException">The file cannot be written.</exception>
    public void Append(RunEvent entry) => JsonLines.Append(path, entry, Json);

    /// <summary>The events of a file; a line cut off by a crash is left out.</summary>
    public static IReadOnlyList<RunEvent> Read(string path) => JsonLines.Read<RunEvent>(path, Json);
}
