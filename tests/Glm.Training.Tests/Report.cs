namespace Glm.Training.Tests;

/// <summary>Does something after each step.</summary>
internal sealed class Report(Action<StepLog> action) : IProgress<StepLog>
{
    void IProgress<StepLog>.Report(StepLog value) => action(value);
}
