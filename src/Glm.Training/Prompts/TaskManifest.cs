using System.Text.Json;

namespace Glm.Training;

/// <summary>One data set of a prepared folder.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Samples">Prompts that it has; they follow those of the sets before.</param>
/// <param name="Weight">How often it is drawn, beside the others.</param>
/// <param name="Faulty">Lines that gave no prompt.</param>
/// <param name="FirstFault">Where the first of them is and what is wrong with it; null where there is none.</param>
/// <param name="HeldOut">Records left out for text in common with what is held out.</param>
public sealed record TaskEntry(string Name, int Samples, double Weight, int Faulty, string? FirstFault, int HeldOut = 0);

/// <summary>The table of contents of a folder of prompts as ids (<c>tasks.json</c>); it is written last.</summary>
/// <param name="Format">Always <see cref="FormatName"/>.</param>
/// <param name="VocabularySize">All ids are below it.</param>
/// <param name="TokenizerSha256">Hash of the tokenizer's file.</param>
/// <param name="Ids">Ids in all.</param>
/// <param name="Tasks">The data sets.</param>
public sealed record TaskManifest(string Format, int VocabularySize, string TokenizerSha256, long Ids, IReadOnlyList<TaskEntry> Tasks)
{
    /// <summary>Tells this format from others.</summary>
    public const string FormatName = "glm-prompted-tasks-1";

    /// <summary>Name of the file in the folder.</summary>
    public const string FileName = "tasks.json";

    /// <summary>Ids of all texts and targets, int32.</summary>
    internal const string IdsFile = "prompts.ids";

    /// <summary>For each prompt the index of its first id, the length of its text and that of its target, three int64.</summary>
    internal const string IndexFile = "prompts.index";

    internal const int EntryBytes = 24;

    private static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Prompts in all.</summary>
    public long Samples => Tasks.Sum(task => (long)task.Samples);

    internal void Save(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream => JsonSerializer.Serialize(stream, this, Json));

    internal static TaskManifest Load(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            var manifest = JsonSerializer.Deserialize<TaskManifest>(File.ReadAllBytes(path), Json);
            if (manifest is not { Format: FormatName }) throw new GlmException($"{path}: format: expected {FormatName}, found {manifest?.Format ?? "nothing"}");
            bool sound = manifest.Tasks.Count > 0 && manifest.Tasks.All(task => task is { Samples: > 0, Weight: > 0 } && double.IsFinite(task.Weight));
            if (!sound) throw new GlmException($"{path}: tasks: expected data sets with samples and weights above 0, found others");
            return manifest;
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: damaged: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read (the folder of `glm data prepare-tasks`): {error.Message}", error);
        }
    }
}
